"""Floats as the indices of a list of values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
MOST_VALUES = 1 << 15
"""A code book is no longer, so that its symbols and zero fit 16 bits."""
SAMPLE = 1 << 16
"""Values looked at first for a code book; the rest is only searched for what is missing in it."""


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
