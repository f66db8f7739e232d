"""Integers of few bits times a scale for each row or group of columns: what uniform quantizers leave."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from compressbench.core.levels import Array, Format, Levels, Shape, check_sizes
from compressbench.core.number_formats import unzigzag, zigzag

MOST_BITS = 16
CHUNK = 1 << 20
"""Elements that are looked at together: more take too much memory."""


@dataclass(frozen=True)
class Uniform(Format):
    """An integer of `bits` bits times a scale: one for each run of `group` columns of a row (output channel), for each
    row (`group` 0), or for the tensor, where one is enough.

    Columns are those of the row laid flat; the last run of a row may be shorter. Integers are in two's complement, or,
    with a zero point for each scale, 2^bits neighbours of which zero is one. Zero is exact and symbol 0 either way.

    Scales are read off the tensor: the largest that makes all elements of a run integers, their greatest common
    divisor, or the largest whole part of it that bfloat16 can say. Integer times scale must therefore be exact in
    float32: it is of scales with 24 - bits significant binary digits at most, such as those of bfloat16 (8).
    """

    bits: int
    group: int = 0

    whole_sides: ClassVar[int] = 1

    def levels(self, tensor: Array) -> Levels:
        self._check()
        rows = tensor.reshape(_matrix(tensor.shape))
        whole, scales = self._integers(rows)
        most, least = (extreme(whole, axis=2, initial=0).astype(np.int64) for extreme in (np.max, np.min))
        if (common := _common(scales, most, least, 2**self.bits)) is not None:
            factors, scales = common
            whole *= factors.astype(np.int32)[..., None]
            most, least = (most * factors).max(initial=0), (least * factors).min(initial=0)
        parts = _parts(scales, most, least, self.bits)
        whole *= parts.astype(np.int32)[..., None]
        scales = np.where(scales > 0, scales / parts, 1).astype(np.float32).ravel()
        limit = 2 ** (self.bits - 1)
        if whole.min(initial=0) >= -limit and whole.max(initial=0) < limit:
            symbols, zero_points = zigzag(whole), np.zeros(0, np.int32)
        else:
            symbols, zero_points = whole % (2 * limit), -(least * parts).astype(np.int32).ravel()
        symbols = symbols.reshape(len(rows), math.prod(whole.shape[1:]))[:, : rows.shape[1]].ravel()
        symbols = symbols.astype(np.uint8 if self.bits <= 8 else np.uint16)
        return Levels(symbols, int(symbols.max(initial=0)) + 1, tensor.shape, [zero_points, scales])

    def tensor(self, levels: Levels, shape: Shape) -> Array:
        assert levels.symbols is not None
        zero_points, scales = levels.side
        check_sizes(zero_points.dtype == np.int32, "zero points are whole numbers")
        inside = (zero_points >= 0) & (zero_points < 2**self.bits)
        check_sizes(inside.all() and (np.isfinite(scales) & (scales > 0)).all(), "zero points and scales are in range")
        symbols = levels.symbols.reshape(_matrix(shape)).astype(np.int32)
        if len(zero_points):
            largest = 2**self.bits - 1 - self._spread(zero_points, symbols.shape)
            whole = np.where(symbols > largest, symbols - 2**self.bits, symbols)
        else:
            whole = unzigzag(symbols)
        with np.errstate(over="ignore"):  # of a hostile file; infinity harms nobody
            found: Array = whole.astype(np.float32) * self._spread(scales, symbols.shape)
        return found.reshape(shape)

    def symbols_shape(self, shape: Shape, lengths: list[int], alphabet: int) -> Shape | None:
        self._check()
        rows, columns = _matrix(shape)
        runs = rows * self._runs(columns)[0]
        fits = len(lengths) == 2 and lengths[1] in (1, runs) and lengths[0] in (0, lengths[1])
        check_sizes(fits, "there is a scale for each run of columns, or one, and a zero point for each, or none")
        check_sizes(1 <= alphabet <= 2**self.bits, "there are 2^bits integers at most")
        return shape

    def _check(self) -> None:
        check_sizes(2 <= self.bits <= MOST_BITS, f"uniformly quantized numbers have 2 to {MOST_BITS} bits")
        check_sizes(self.group >= 0, "a group has so many columns, or 0 for whole rows")

    def _runs(self, columns: int) -> tuple[int, int]:
        """Return how many runs a row has, and how many columns a run."""
        width = max(min(self.group or columns, columns), 1)
        return max(-(-columns // width), 1), width

    def _spread(self, side: Array, shape: Shape) -> Array:
        """Return what stands beside a run for each of its columns, in a form that broadcasts to (rows, columns)."""
        runs, width = self._runs(shape[1])
        return side if len(side) == 1 else np.repeat(side.reshape(shape[0], runs), width, axis=1)[:, : shape[1]]

    def _integers(self, rows: Array) -> tuple[Array, Array]:
        """Return the integers (rows, runs, columns of a run) and the scale of each run, 0 of one of zeros."""
        runs, width = self._runs(rows.shape[1])
        whole, scales = np.zeros((len(rows), runs, width), np.int32), np.zeros((len(rows), runs))
        step = max(CHUNK // (runs * width), 1)
        for start in range(0, len(rows), step):
            wide = np.zeros((len(rows[start : start + step]), runs * width))
            wide[:, : rows.shape[1]] = rows[start : start + step]
            found, divisors = _divided(wide.reshape(-1, runs, width))
            if not (found.max(2, initial=0) - found.min(2, initial=0) < 2**self.bits).all():  # so put, NaN is refused
                where = f"{self.group} columns" if self.group else "row (output channel)"
                raise ValueError(
                    f"it has values that are no integers of {self.bits} bits times a scale of their {where}"
                )
            whole[start : start + step], scales[start : start + step] = found, divisors
        return whole, scales


def _matrix(shape: Shape) -> tuple[int, int]:
    """Return rows and columns of a tensor laid out as a matrix: a vector is one row."""
    rows = shape[0] if len(shape) > 1 else 1
    return rows, math.prod(shape) // rows if rows else 0


def _divided(values: Array) -> tuple[Array, Array]:
    """Return numbers (float64) divided by the greatest common divisor along the last axis, and that, 0 of zeros.

    NaN instead of quotients where numbers have none: too far apart, or infinite.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        mantissas, exponents = np.frexp(values)
        digits = np.ldexp(mantissas, 24).astype(np.int64)
        lowest = np.where(digits == 0, np.inf, np.ldexp((digits & -digits).astype(float), exponents - 24))
        unit = lowest.min(-1, keepdims=True, initial=np.inf)
        unit = np.where(np.isfinite(unit), unit, 1)
        whole = values / unit
        whole = np.where((np.abs(whole) < 2.0**53).all(-1, keepdims=True), whole, np.nan)
        divisors = np.gcd.reduce(whole.astype(np.int64), axis=-1, keepdims=True)
    return whole / np.maximum(divisors, 1), (divisors * unit)[..., 0]


def _common(scales: Array, most: Array, least: Array, integers: int) -> tuple[Array, Array] | None:
    """Return what to multiply the integers of each run with so that all have one scale, and that scale (1, 1).

    None if that takes more than so many integers.
    """
    factors, scale = _divided(scales.reshape(-1))
    factors = factors.reshape(scales.shape)
    if not (most * factors).max(initial=0) - (least * factors).min(initial=0) < integers:  # so put, NaN is none
        return None
    return factors.astype(np.int64), scale.reshape(1, 1)


def _parts(scales: Array, most: Array, least: Array, bits: int) -> Array:
    """Return into how many equal parts to divide each scale so that bfloat16 can say it: 1 where no number will do."""
    parts = np.ones(scales.shape, np.int64)
    limit = 2 ** (bits - 1)
    left = ~_short(scales)
    for number in range(2, limit):
        if not left.any():
            break
        left &= (least * number >= -limit) & (most * number < limit)
        done = left & _short(scales / number)
        parts[done] = number
        left &= ~done
    return parts


def _short(scales: Array) -> Array:
    """Return which numbers bfloat16 can say exactly."""
    with np.errstate(over="ignore"):
        single = scales.astype(np.float32)
    found: Array = (single == scales) & (single.view(np.uint32) & 0xFFFF == 0)
    return found
