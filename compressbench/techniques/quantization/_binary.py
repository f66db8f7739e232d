"""Weights of two values while they are trained: what the forward pass sees of the latent weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compressbench.layers.straight_through import straight_through


def sign(latent: Tensor) -> Tensor:
    """Return +1 for weights of 0 or more, else -1."""
    return torch.ones_like(latent).copysign_(latent + 0)  # -0 + 0 is 0; `where` takes twice as long


class Connect(nn.Module):
    """+-scale, by the sign (Courbariaux et al. 2015), straight through.

    stochastic: in training mode, +scale with the probability hard_sigmoid(w / scale) = (w / scale + 1) / 2, cut to
    [0, 1], drawn anew in every pass from torch's global generator.
    """

    def __init__(self, scale: float, stochastic: bool):
        super().__init__()
        self.scale, self.stochastic = scale, stochastic

    def forward(self, latent: Tensor) -> Tensor:
        if self.stochastic and self.training:
            positive = torch.rand_like(latent) < ((latent / self.scale + 1) / 2)
            signs = torch.where(positive, 1.0, -1.0).to(latent.dtype)
        else:
            signs = sign(latent)
        return straight_through(latent, self.scale * signs)


class ScaledSign(nn.Module):
    """alpha sign(w), alpha = mean|w| of the filter (Rastegari et al. 2016). The first dimension counts the filters."""

    def forward(self, latent: Tensor) -> Tensor:
        found: Tensor = _ScaledSign.apply(latent)  # type: ignore[no-untyped-call]
        return found


class _ScaledSign(torch.autograd.Function):
    """Gradient: g (1/n + alpha 1{|w| <= 1}), n weights in a filter; the estimate of section 3.1, weight by weight."""

    @staticmethod
    def forward(ctx: Any, latent: Tensor) -> Tensor:
        alpha = latent.abs().flatten(1).mean(1).clamp_min(torch.finfo(latent.dtype).tiny)
        alpha = alpha.view(-1, *[1] * (latent.dim() - 1))
        ctx.save_for_backward(latent, alpha)
        return alpha * sign(latent)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        latent, alpha = ctx.saved_tensors
        weights_of_a_filter = latent[0].numel()
        factor: Tensor = 1 / weights_of_a_filter + alpha * (latent.abs() <= 1)
        return gradients[0] * factor
