"""A scale times few levels, nearest to weights of which some count more than others (Hou and Kwok 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from compressbench.techniques.quantization._binary import sign

SPACINGS = ("linear", "logarithmic")
STARTS, ROUNDS = (1.0, 0.75, 0.5, 0.35, 0.25), 4
"""Scales that turns start from, as fractions of the largest weight; the best is improved in so many turns."""


def nearest(weights: Tensor, curvature: Tensor, bits: int, spacing: str) -> Tensor:
    """Return the a b that minimises the sum of curvature (a b - w)^2 over all weights, with one scale a.

    b is of {-1, 1} for 1 bit and {-1, 0, 1} for 2, and the result the best there is. For more bits it is 0 or +- one of
    k = 2^(bits - 1) - 1 levels: i / k (`linear`) or 1, 1/2 ... 1/2^(k - 1); by turns over a and b, which end near a
    best one. curvature: more than 0, of the shape of the weights.
    """
    if not weights.numel():
        return weights
    if bits == 1:
        scale = (curvature * weights.abs()).sum() / curvature.sum()
        return scale.clamp_min(torch.finfo(weights.dtype).tiny) * sign(weights)
    if bits == 2:
        return _ternary(weights, curvature)
    return _by_turns(weights, curvature, 2 ** (bits - 1) - 1, spacing)


def _ternary(weights: Tensor, curvature: Tensor) -> Tensor:
    """Return the best a {-1, 0, 1}: what is not zero are the n largest |w| for some n, of which the best a is the
    weighted mean, and (sum d|w|)^2 / sum d over them is what the error becomes less by."""
    magnitude, order = weights.abs().flatten().sort(descending=True)
    weighted = curvature.flatten()[order].double()
    sums, totals = (weighted * magnitude).cumsum(0), weighted.cumsum(0)
    last = (sums.square() / totals).argmax()
    scale = (sums[last] / totals[last]).to(weights.dtype)
    kept = torch.zeros_like(magnitude, dtype=torch.bool)
    kept[order[: int(last) + 1]] = True
    return torch.where(kept.view_as(weights), scale * weights.sign(), torch.zeros_like(weights))


def _by_turns(weights: Tensor, curvature: Tensor, number: int, spacing: str) -> Tensor:
    largest = weights.abs().max()
    if largest == 0:
        return torch.zeros_like(weights)

    def error(scale: Tensor) -> Tensor:
        return (curvature * (scale * levels(weights / scale, number, spacing) - weights).square()).sum()

    scale = min((largest * start for start in STARTS), key=lambda start: float(error(start)))
    for _ in range(ROUNDS):
        found = levels(weights / scale, number, spacing)
        scale = (curvature * found * weights).sum() / (curvature * found.square()).sum()
    return scale * levels(weights / scale, number, spacing)


def levels(values: Tensor, number: int, spacing: str) -> Tensor:
    """Return the nearest level of each value: 0 or +- one of so many up to 1."""
    if spacing == "linear":
        return (values * number).round().clamp(-number, number) / number
    smallest = 2.0 ** (1 - number)
    magnitude = values.abs()
    # halfway between 2^-n and 2^(-n-1) lies 3/4 of 2^-n; halfway between the smallest and 0 its half
    exponent = (magnitude.clamp_min(smallest) / 1.5).log2().ceil().clamp(1 - number, 0)
    return torch.where(magnitude >= smallest / 2, values.sign() * exponent.exp2(), torch.zeros_like(values))
