"""Rounding to zero and signed powers of two (Zhou et al. 2017, section 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor

CANDIDATES = 8
"""How many exponents `mse` tries: the smallest clips what is more than 1/128 of the largest weight."""


def power_near(magnitude: Tensor) -> Tensor:
    """Return the n with 3/4 2^n <= magnitude < 3/2 2^n, as integers; of zero it is meaningless.

    That is the power of two a weight is rounded to, and for the largest one n1 = floor(log2(4/3 magnitude)). It is
    read off the float, m 2^e with 1/2 <= m < 1: n = e if m >= 3/4, else e - 1, without a logarithm's rounding error.
    """
    mantissa, exponent = torch.frexp(magnitude)
    return exponent - (mantissa < 0.75).to(exponent.dtype)


def powers_count(bits: int) -> int:
    """Return how many magnitudes beside zero there are: n1 down to n2 = n1 + 1 - 2^(bits - 2)."""
    return 1 << (bits - 2)


def to_powers(weight: Tensor, bits: int, largest: int, *, beyond: str = "largest") -> Tensor:
    """Return each weight as 0 or sign(w) 2^n, n from `largest` down to `largest` + 1 - 2^(bits - 2).

    Below half of the smallest power it is 0. From 3/2 of the largest on, where the paper's rule ends, it is the
    largest, or 0 if `beyond` is `zero`.
    """
    count = powers_count(bits)
    smallest = largest + 1 - count
    magnitude = weight.abs()
    table = torch.tensor([2.0 ** (smallest + step) for step in range(count)], dtype=weight.dtype, device=weight.device)
    nearest = power_near(magnitude)
    rounded = table[(nearest - smallest).clamp(0, count - 1).long()]
    gone = magnitude < 2.0**smallest / 2
    if beyond == "zero":
        gone |= (nearest > largest) & (magnitude > 0)
    return torch.where(gone, torch.zeros_like(weight), rounded * weight.sign())


def largest_power(weight: Tensor, bits: int, how: str) -> int:
    """Return n1, the exponent of the largest power that weights, not all of them zero, are rounded to.

    how: `max`: of the largest weight (Zhou et al. 2017); `mse`: of this one and `CANDIDATES` - 1 below it the one with
    the least sum of squared roundings, where weights above it become it. Of equal ones the larger is taken.
    """
    most = int(power_near(weight.abs().max()))
    if how == "max":
        return most
    tried = range(most, most - CANDIDATES, -1)
    errors = {n: float((weight - to_powers(weight, bits, n)).double().square().sum()) for n in tried}
    return min(errors, key=lambda n: errors[n])
