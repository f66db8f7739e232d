"""Activations of few bits, in place of ReLU (Zhou et al. 2016, DoReFa-Net; Choi et al. 2018, PACT)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compressbench.layers.straight_through import straight_through

SMALLEST_ALPHA = 1e-3
"""What PACT divides by at least; below it alpha would be of no use, and at zero the result no number."""


class DorefaActivation(nn.Module):
    """q_k(clip(x, 0, 1)) with k = `bits` (DoReFa-Net, Eq. 11); the gradient is that of the clipping.

    gradient_bits: the gradient that leaves backwards is quantized to so many bits, with noise (Eq. 12); 32: it is not.
    """

    def __init__(self, bits: int, gradient_bits: int = 32):
        super().__init__()
        self.bits = bits
        self.gradient_bits = gradient_bits

    def forward(self, input: Tensor) -> Tensor:
        if self.gradient_bits < 32 and input.requires_grad:
            input = input.view_as(input)  # so that the hook sees what comes from here alone
            input.register_hook(self._quantized_gradient)
        clipped = input.clamp(0, 1)
        return straight_through(clipped, quantized(clipped, self.bits))

    def extra_repr(self) -> str:
        return f"bits={self.bits}, gradient_bits={self.gradient_bits}"

    def _quantized_gradient(self, gradient: Tensor) -> Tensor:
        return quantized_gradient(gradient, self.gradient_bits)


class PactActivation(nn.Module):
    """clip(x, 0, alpha) in 2^k - 1 steps, k = `bits` (PACT, Eq. 1 to 3); alpha is trained, its gradient 1{x >= alpha}.

    alpha starts at 10; a technique may set it. We differ: it acts as 0.001 where it is smaller.
    """

    def __init__(self, bits: int):
        super().__init__()
        self.bits = bits
        self.alpha = nn.Parameter(torch.tensor(10.0))

    def forward(self, input: Tensor) -> Tensor:
        alpha = self.alpha.clamp_min(SMALLEST_ALPHA).to(input.dtype)
        clipped = torch.where(input >= alpha, alpha, input.relu())
        return straight_through(clipped, quantized(clipped / alpha, self.bits) * alpha)

    def extra_repr(self) -> str:
        return f"bits={self.bits}"


def quantized(values: Tensor, bits: int) -> Tensor:
    """Return values of [0, 1] rounded to a multiple of 1 / (2^bits - 1): q_k (DoReFa-Net, Eq. 5), without gradient."""
    steps = 2**bits - 1
    rounded: Tensor = (values.detach() * steps).round() / steps
    return rounded


def quantized_gradient(gradient: Tensor, bits: int) -> Tensor:
    """Return 2m (q_k(g / 2m + 1/2 + N) - 1/2), m the largest |g| of each sample (dimension 0), N uniform within half a
    step (DoReFa-Net, Eq. 12), from torch's global generator. No element moves by more than a step, 2m / (2^bits - 1).
    """
    if not gradient.numel():
        return gradient
    largest = gradient.abs().flatten(1).amax(1).clamp_min(torch.finfo(gradient.dtype).tiny)
    scale = 2 * largest.reshape(-1, *[1] * (gradient.dim() - 1))
    noise = (torch.rand_like(gradient) - 0.5) / (2**bits - 1)
    result: Tensor = scale * (quantized((gradient / scale + 0.5 + noise).clamp(0, 1), bits) - 0.5)
    return result
