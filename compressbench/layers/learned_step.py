"""Rounding to multiples of a step that is trained (Esser et al. 2020, LSQ)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from compressbench.layers.straight_through import straight_through

SMALLEST_STEP = 1e-8
"""A step acts as this where it is smaller: nothing can be divided by zero, and below it steps would change sides."""


class LearnedStepActivation(nn.Module):
    """A ReLU whose results are 0 to 2^bits - 1 times a step (LSQ, Eq. 1 to 3, without a sign), which is trained."""

    def __init__(self, bits: int):
        super().__init__()
        self.bits = bits
        self.step = nn.Parameter(torch.tensor(1.0))

    def forward(self, input: Tensor) -> Tensor:
        step = self.step.clamp_min(SMALLEST_STEP).to(input.dtype)
        return stepped(input, step, 0, 2**self.bits - 1, input[0].numel() if len(input) else 1)

    def extra_repr(self) -> str:
        return f"bits={self.bits}"


def stepped(values: Tensor, step: Tensor, lowest: int, highest: int, count: int) -> Tensor:
    """Return round(clip(v / s, lowest, highest)) s (LSQ, Eq. 1 and 2).

    Gradients: of v that of the clipping; of s by Eq. 3, -v/s + round(v/s) for each v inside and the limit for each
    outside, all of it times 1 / sqrt(count highest) (section 2.2). count: weights of the layer, or features.
    """
    if step.requires_grad:
        step = step.view_as(step)  # so that the hook sees what comes from here alone
        step.register_hook(lambda gradient: gradient / math.sqrt(max(count, 1) * highest))
    scaled = (values / step).clamp(lowest, highest)
    return straight_through(scaled, scaled.round()) * step


def first_step(mean: float, highest: int) -> float:
    """Return where a step starts: 2 mean|v| / sqrt(highest) (LSQ, section 2.1)."""
    return max(2 * mean / math.sqrt(highest), SMALLEST_STEP)
