"""How many weights stay, and which ones by score.

How many: the network's total is the nearest whole number to the sum of n (1 - ratio), and the pools (layers, kinds of
layer, or the whole network) share it by largest remainder: each gets the floor of its own n (1 - ratio), and those
with the largest fractions one more. So a pool's count is never off by one or more, and the survey's three totals come
out to the last digit (CIFAR10 1,106,918 = 987,417 of conv + 119,501 of linear, asked 987,417.6 + 119,500.8); no
rounding of each kind or layer by itself gives all three. The survey does not print its rule; this one was fitted.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

Keys = npt.NDArray[np.uint32]
Bools = npt.NDArray[np.bool_]
MASKED = 0
"""The key of a weight that an earlier mask holds at zero: below all others."""
INFINITE = 0x7F800001
"""The key of an infinite score; those of NaN lie above."""
CHUNK = 1 << 22
"""Keys counted at once: `np.bincount` copies them to 8 bytes each."""


def apportion(asked: list[Fraction]) -> list[int]:
    """Return whole numbers near `asked` whose sum is the nearest to theirs, a half rounded up (largest remainder)."""
    counts = [floor(share) for share in asked]
    missing = floor(sum(asked, Fraction(1, 2))) - sum(counts)
    order = sorted(range(len(asked)), key=lambda i: (counts[i] - asked[i], i))
    for i in order[:missing]:
        counts[i] += 1
    return counts


def highest(keys: Keys, count: int) -> Bools:
    """Return where the `count` highest keys stand; of equal ones the first are taken."""
    if count in (0, len(keys)):
        return np.full(len(keys), count > 0)
    threshold = smallest(keys, len(keys) - count)
    found: Bools = keys > threshold
    equal = np.flatnonzero(keys == threshold)
    found[equal[: count - np.count_nonzero(found)]] = True
    return found


def smallest(keys: Keys, rank: int) -> int:
    """Return the key that has `rank` keys before it in sorted order, by its two halves of 16 bits.

    Linear in time whatever the keys are: `np.partition` takes twenty times as long as usual where most are equal, as
    the zeros of a pruned network are.
    """
    chunks = (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))
    high, rank = _digit((chunk >> 16 for chunk in chunks), rank)
    low, _ = _digit([keys[keys >> 16 == high] & 0xFFFF], rank)
    return high << 16 | low


def _digit(parts: Iterable[npt.NDArray[np.integer[Any]]], rank: int) -> tuple[int, int]:
    """Return the digit that has this rank among all parts, and its rank among those equal to it."""
    ends = np.cumsum(sum(np.bincount(part, minlength=1 << 16) for part in parts))
    digit = int(np.searchsorted(ends, rank, side="right"))
    return digit, rank - int(ends[digit - 1]) if digit else rank


def sort_keys(scores: Tensor, allowed: Tensor | None) -> Keys:
    """Return integers in the order of the scores, flat: the bits of a float that is 0 or more are in its order.

    allowed: where a weight may stay at all, of the scores' shape; None is everywhere. ValueError for a score that is
    not a number.
    """
    bits = scores.float().cpu().numpy().ravel().view(np.uint32)
    keys: Keys = bits + np.uint32(1)
    if keys.max() > INFINITE:
        raise ValueError("a weight is not a number; the network cannot be pruned")
    if allowed is not None:
        keys[~allowed.cpu().numpy().ravel()] = MASKED
    return keys
