"""The straight-through estimator: forward a function's result, backward as if it were the identity."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, latent: Tensor, result: Tensor) -> Tensor:
        return result.view_as(result)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def straight_through(latent: Tensor, result: Tensor) -> Tensor:
    """Return `result`, to the bit, with its gradient going to `latent` unchanged (Bengio et al. 2013).

    `latent + (result - latent).detach()` would do so but for a rounding error, which a format cannot say.
    """
    found: Tensor = _StraightThrough.apply(latent, result.detach())  # type: ignore[no-untyped-call]
    return found
