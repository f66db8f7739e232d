"""Logarithms and probabilities in integers: what a context model computes must be the same to the last bit everywhere.

Floating point is not: exp and log differ between libraries and between SIMD widths. Scores are logarithms to base 2 of
odds, in units of 1/32; the tables below come from exact integer square roots.
"""

from __future__ import annotations

from math import isqrt

import numpy as np
from numpy.typing import NDArray

OCTAVE = 32
"""Units of a score that double the odds."""

HIGHEST = 12 * OCTAVE
"""Scores are kept between minus and plus this much: odds of 4096."""

PROBABILITY = 1 << 16
"""Probabilities are multiples of one over this."""


def _root(power: int) -> int:
    """Return 2^(power / 32) times 2^32, rounded down."""
    value = 1 << power + 32 * 32
    for _ in range(5):
        value = isqrt(value)
    return value


ROOTS = np.array([_root(power) for power in range(OCTAVE)], np.int64)
"""2^(k / 32) in units of 2^-32."""

_FRACTIONS = np.searchsorted(ROOTS, (256 + np.arange(256, dtype=np.int64)) << 24, side="right") - 1
"""32 times the logarithm of 1 + k / 256, rounded down."""

_PROBABILITIES = np.array(
    [
        PROBABILITY * odds // (odds + (1 << 32 + 12))
        for odds in (int(ROOTS[k % OCTAVE]) << k // OCTAVE for k in range(2 * HIGHEST + 1))
    ],
    np.int64,
)
"""The probability of each score from -HIGHEST on."""


def logarithm(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 32 log2 of integers from 1 to 2^53, a little rounded down."""
    mantissa, exponent = np.frexp(values.astype(np.float64))  # exact: no rounding happens
    return (exponent.astype(np.int64) - 1) * OCTAVE + _FRACTIONS[(mantissa * 512).astype(np.int64) - 256]


def probability(scores: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the probabilities of scores, in units of 1 / PROBABILITY, at least 1 of them."""
    return np.maximum(_PROBABILITIES[np.clip(scores, -HIGHEST, HIGHEST) + HIGHEST], 1)
