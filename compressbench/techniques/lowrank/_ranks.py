"""Where a rank comes from: it is given, or follows from the energy that is to stay or the parameters that are to go.

Eq. 14 of Choudhary et al. 2020: the m n weights of a matrix become r (m + n), which is a fraction p of them, or less,
for r < p m n / (m + n). The same holds of every factorization here, with its own cost of a unit of rank.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

import torch
from torch import Tensor

from compressbench.core.errors import out_of_range


def check_ranks(rank: int | None, energy: float | None, ratio: float, ranks: Mapping[str, int]) -> None:
    """Raise ValueError for fields out of range, or if both a rank and an energy are given."""
    for key, value in {"rank": rank, **{f"ranks.{selector}": own for selector, own in ranks.items()}}.items():
        if value is not None and value < 1:
            raise out_of_range(key, value, "1 or more")
    check_energy(energy)
    check_ratio(ratio)
    if rank is not None and energy is not None:
        raise ValueError(f"rank is {rank} and energy is {energy}; give one of them, the other null")


def check_energy(energy: float | None) -> None:
    if energy is not None and not 0 < energy <= 1:
        raise out_of_range("energy", energy, "more than 0 and at most 1")


def check_ratio(ratio: float) -> None:
    if not 0 <= ratio < 1:
        raise out_of_range("ratio", ratio, "0 or more and less than 1")


def chosen_rank(
    rank: int | None, energy: float | None, ratio: float, weights: int, cost: int, values: Callable[[], Tensor]
) -> int:
    """Return the rank that is given, or else follows from the energy, or else from the ratio.

    weights, cost: see `rank_by_ratio`. values: returns the singular values, (groups, values), where they are needed.
    """
    if rank is not None:
        return rank
    return rank_by_ratio(weights, cost, ratio) if energy is None else rank_by_energy(values(), energy)


def rank_by_ratio(weights: int, cost: int, ratio: float) -> int:
    """Return the largest rank, 1 at least, whose weights are less than what is left when `ratio` of them go (Eq. 14).

    weights: how many there are. cost: weights of the factors for a unit of rank.
    """
    left = weights * (1 - Fraction(str(ratio)))
    return max(1, math.ceil(left / cost) - 1)


def rank_by_energy(singular_values: Tensor, energy: float) -> int:
    """Return the smallest rank whose squared singular values are at least a fraction `energy` of all.

    singular_values: (groups, values), falling; one rank for all groups.
    """
    squares = singular_values.double().square().sum(0)
    kept = squares.cumsum(0) / squares.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return min(int((kept < energy - 1e-12).sum()) + 1, len(squares))
