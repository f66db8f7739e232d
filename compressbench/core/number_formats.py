"""Formats whose values follow from a rule: powers of two, and fixed-point numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compressbench.core.levels import Array, Format, Levels, Shape, check_sizes


@dataclass(frozen=True)
class PowerOfTwo(Format):
    """Zero or a signed power of two, 2^largest at most, 2^(largest + 1 - 2^(bits - 2)) at least (Zhou et al. 2017)."""

    bits: int
    largest: int

    def levels(self, tensor: Array) -> Levels:
        return Levels(self._exponents(tensor.ravel()), self._alphabet(), tensor.shape)

    def tensor(self, levels: Levels, shape: Shape) -> Array:
        found: Array = self._values()[levels.symbols].reshape(shape)
        return found

    def symbols_shape(self, shape: Shape, lengths: list[int], alphabet: int) -> Shape | None:
        self._check()
        check_sizes(not lengths and alphabet == self._alphabet(), "powers of two have one symbol for each")
        return shape

    def _check(self) -> None:
        check_sizes(2 <= self.bits <= 9 and abs(self.largest) <= 126, "powers of two have 2 to 9 bits")

    def _alphabet(self) -> int:
        """Return how many values there are, zero included."""
        return int(2 ** (self.bits - 1)) + 1

    def _values(self) -> Array:
        """Return the value of every symbol."""
        exponents = self.largest - np.arange(2 ** (self.bits - 2))
        powers = np.ldexp(np.float32(1), exponents)
        return np.concatenate([np.zeros(1, np.float32), np.stack([powers, -powers], axis=1).ravel()]).astype(np.float32)

    def _exponents(self, flat: Array) -> Array:
        """Return 0 for zero, 1 and 2 for the largest power and its negative, and so on downwards."""
        self._check()
        values = self._values()
        symbols: Array = np.searchsorted(np.sort(values), flat)
        order = np.argsort(values, kind="stable").astype(np.uint8 if self._alphabet() <= 256 else np.uint16)
        symbols = order[np.minimum(symbols, len(order) - 1)]
        if not np.array_equal(values[symbols].view(np.uint32), flat.view(np.uint32)):
            raise ValueError(f"it has values that are no power of two of {self.bits} bits from 2^{self.largest} down")
        return symbols


@dataclass(frozen=True)
class FixedPoint(Format):
    """An integer of so many bits in two's complement, times 2^-fraction_bits."""

    bits: int
    fraction_bits: int

    def levels(self, tensor: Array) -> Levels:
        return Levels(self._whole(tensor.ravel()), 2**self.bits, tensor.shape)

    def tensor(self, levels: Levels, shape: Shape) -> Array:
        assert levels.symbols is not None
        found: Array = np.ldexp(unzigzag(levels.symbols).astype(np.float32), -self.fraction_bits).reshape(shape)
        return found

    def symbols_shape(self, shape: Shape, lengths: list[int], alphabet: int) -> Shape | None:
        self._check()
        check_sizes(not lengths and alphabet == 2**self.bits, "fixed-point numbers have 2^bits symbols")
        return shape

    def _check(self) -> None:
        check_sizes(1 <= self.bits <= 16 and abs(self.fraction_bits) <= 100, "fixed-point numbers have 1 to 16 bits")

    def _whole(self, flat: Array) -> Array:
        """Return each element's integer, zigzagged. ValueError if it is none, or too large."""
        self._check()
        with np.errstate(over="ignore", invalid="ignore"):
            whole = np.rint(np.ldexp(flat, self.fraction_bits)) + np.float32(0)
            exact = np.array_equal(np.ldexp(whole, -self.fraction_bits).view(np.uint32), flat.view(np.uint32))
        limit = 2 ** (self.bits - 1)
        if not (exact and whole.min(initial=0) >= -limit and whole.max(initial=0) < limit):  # so put, NaN is refused
            raise ValueError(f"it has values that are no integer of {self.bits} bits times 2^-{self.fraction_bits}")
        return zigzag(whole.astype(np.int32)).astype(np.uint8 if self.bits <= 8 else np.uint16)


def zigzag(whole: Array) -> Array:
    """Return 0, 1, 2, 3, 4 for 0, -1, 1, -2, 2: small numbers are small symbols, and zero is symbol 0."""
    return np.where(whole < 0, -2 * whole - 1, 2 * whole)


def unzigzag(symbols: Array) -> Array:
    """Return the integers (int32) again."""
    wide = symbols.astype(np.int32)
    return np.where(wide & 1, -(wide + 1) // 2, wide // 2)
