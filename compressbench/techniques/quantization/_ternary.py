"""Weights of three values while they are trained: what the forward pass sees of the latent weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compressbench.layers.straight_through import straight_through


def ternary(latent: Tensor, threshold_factor: float) -> Tensor:
    """Return scale sign(w) where |w| > threshold, else 0 (Li et al. 2016, equations 3, 5 and 6).

    threshold = threshold_factor mean|w|, scale = mean of |w| above it: the best one for those signs.
    """
    magnitude = latent.abs()
    above = magnitude > threshold_factor * magnitude.mean()
    scale = (magnitude * above).sum() / above.sum().clamp_min(1)
    return torch.where(above, scale * latent.sign(), torch.zeros_like(latent))


class Ternary(nn.Module):
    """The layer's weights as `ternary` has them, straight through."""

    def __init__(self, threshold_factor: float):
        super().__init__()
        self.threshold_factor = threshold_factor

    def forward(self, latent: Tensor) -> Tensor:
        return straight_through(latent, ternary(latent.detach(), self.threshold_factor))


class TrainedTernary(nn.Module):
    """W_p where w > D, -W_n where w < -D, else 0; D = threshold max|w| (Zhu et al. 2017). W_p and W_n are trained too.

    They start from the mean magnitude of the weights in whose place they stand.
    """

    def __init__(self, latent: Tensor, threshold: float):
        super().__init__()
        self.threshold = threshold
        above, below = _sides(latent.detach(), threshold)
        self.positive = nn.Parameter((latent.detach() * above).sum() / above.sum().clamp_min(1))
        self.negative = nn.Parameter(-(latent.detach() * below).sum() / below.sum().clamp_min(1))

    def forward(self, latent: Tensor) -> Tensor:
        found: Tensor = _TrainedTernary.apply(latent, self.positive, self.negative, self.threshold)  # type: ignore[no-untyped-call]
        return found


class _TrainedTernary(torch.autograd.Function):
    """Gradients: of W_p the sum of g where w > D, of W_n minus the sum where w < -D; of w: g W_p, g, or g W_n."""

    @staticmethod
    def forward(ctx: Any, latent: Tensor, positive: Tensor, negative: Tensor, threshold: float) -> Tensor:
        above, below = _sides(latent, threshold)
        ctx.save_for_backward(above, below, positive, negative)
        return torch.where(above, positive, torch.where(below, -negative, torch.zeros_like(latent)))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        above, below, positive, negative = ctx.saved_tensors
        gradient = gradients[0]
        factor = torch.where(above, positive, torch.where(below, negative, torch.ones_like(gradient)))
        return gradient * factor, (gradient * above).sum(), -(gradient * below).sum(), None


def _sides(latent: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Return where weights are above and below the layer's threshold."""
    limit = threshold * latent.abs().max()
    return latent > limit, latent < -limit
