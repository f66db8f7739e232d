"""Floats as symbols, and back, for the formats whose values are a list or a rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from compressbench.core.format import FixedPoint, PowerOfTwo

Array = npt.NDArray[Any]
MOST_VALUES = 1 << 15
"""A code book is no longer, so that its symbols and zero fit 16 bits."""
SAMPLE = 1 << 16
"""Values looked at first for a code book; the rest is only searched for what is missing in it."""


def check_sizes(right: bool | np.bool_, rule: str) -> None:
    """Raise ValueError, saying the rule, unless it is kept."""
    if not right:
        raise ValueError(f"its sizes do not fit: {rule}")


def indices(flat: Array) -> tuple[Array, Array, bool]:
    """Return each element's index, the values in ascending order, and whether index 0 is zero (not among the values).

    ValueError if there are more than MOST_VALUES.
    """
    bits = flat.view(np.uint32)
    present = bits != 0
    some = bits[present]
    known = np.unique(some[:SAMPLE])
    place, missing = _find(some, known)
    while missing.any():
        known = np.union1d(known, some[missing][:SAMPLE])
        if len(known) > MOST_VALUES:
            break
        place, missing = _find(some, known)
    if len(known) > MOST_VALUES:
        raise ValueError(f"it has more than {MOST_VALUES:,} different values")
    zeros = len(some) < len(bits) or not len(known)
    order = np.argsort(known.view(np.float32), kind="stable")
    rank = np.empty(len(known), np.uint8 if len(known) < 255 else np.uint16)
    rank[order] = np.arange(len(known)) + zeros
    symbols = np.zeros(len(bits), rank.dtype)
    symbols[present] = rank[place]
    return symbols, known[order].view(np.float32), zeros


def _find(bits: Array, known: Array) -> tuple[Array, Array]:
    """Return where each element stands among the known values, and which of them are not there."""
    if not len(known):
        return np.zeros(len(bits), np.int64), np.ones(len(bits), bool)
    place = np.searchsorted(known, bits)
    place[place == len(known)] = 0
    return place, known[place] != bits


def exponents(flat: Array, form: PowerOfTwo) -> Array:
    """Return 0 for zero, 1 and 2 for the largest power and its negative, and so on downwards."""
    check_sizes(2 <= form.bits <= 9 and abs(form.largest) <= 126, "powers of two have 2 to 9 bits")
    symbols: Array = np.searchsorted(np.sort(powers(form)), flat)
    order = np.argsort(powers(form), kind="stable").astype(np.uint8 if power_alphabet(form) <= 256 else np.uint16)
    symbols = order[np.minimum(symbols, len(order) - 1)]
    if not np.array_equal(powers(form)[symbols].view(np.uint32), flat.view(np.uint32)):
        raise ValueError(f"it has values that are no power of two of {form.bits} bits from 2^{form.largest} down")
    return symbols


def power_alphabet(form: PowerOfTwo) -> int:
    """Return how many values there are, zero included."""
    return int(2 ** (form.bits - 1)) + 1


def powers(form: PowerOfTwo) -> Array:
    """Return the value of every symbol."""
    exponents = form.largest - np.arange(2 ** (form.bits - 2))
    powers = np.ldexp(np.float32(1), exponents)
    return np.concatenate([np.zeros(1, np.float32), np.stack([powers, -powers], axis=1).ravel()]).astype(np.float32)


def fixed_point(flat: Array, form: FixedPoint) -> Array:
    """Return each element's integer, zigzagged. ValueError if it is none, or too large."""
    check_sizes(1 <= form.bits <= 16 and abs(form.fraction_bits) <= 100, "fixed-point numbers have 1 to 16 bits")
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.rint(np.ldexp(flat, form.fraction_bits)) + np.float32(0)
        exact = np.array_equal(np.ldexp(whole, -form.fraction_bits).view(np.uint32), flat.view(np.uint32))
    limit = 2 ** (form.bits - 1)
    if not (exact and whole.min(initial=0) >= -limit and whole.max(initial=0) < limit):  # so put, NaN is refused
        raise ValueError(f"it has values that are no integer of {form.bits} bits times 2^-{form.fraction_bits}")
    return zigzag(whole.astype(np.int32)).astype(np.uint8 if form.bits <= 8 else np.uint16)


def zigzag(whole: Array) -> Array:
    """Return 0, 1, 2, 3, 4 for 0, -1, 1, -2, 2: small numbers are small symbols, and zero is symbol 0."""
    return np.where(whole < 0, -2 * whole - 1, 2 * whole)


def unzigzag(symbols: Array) -> Array:
    """Return the integers (int32) again."""
    wide = symbols.astype(np.int32)
    return np.where(wide & 1, -(wide + 1) // 2, wide // 2)
