"""Straight-through estimators: a value that has no useful gradient, with the gradient of something else."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, like: Tensor, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def straight_through(like: Tensor, value: Tensor) -> Tensor:
    """Return `value`, to the bit; its gradient goes to `like` unchanged (Bengio et al. 2013). Both of one shape.

    `like + (value - like).detach()` would do so but for a rounding error, which a format cannot say.
    """
    found: Tensor = _StraightThrough.apply(like, value.detach())  # type: ignore[no-untyped-call]
    return found
