"""Rounding to fixed-point numbers: integers of so many bits times 2^-fraction_bits (Gupta et al. 2015, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compressbench.layers.straight_through import straight_through

FEWEST, MOST = -100, 100
"""Fraction bits a file can say."""


def finest(values: Tensor, bits: int) -> int:
    """Return the most fraction bits with which every value, rounded to the nearest, fits: the smallest step."""
    most = float(values.abs().max()) if values.numel() else 0.0
    if most == 0:
        return bits - 1
    _, exponent = torch.frexp(torch.tensor(most))
    start = bits - 1 - int(exponent)  # most 2^start is at least a half of 2^(bits-1) and less than it
    fitting = (fraction for fraction in (start + 1, start) if _fits(values, bits, fraction))
    return max(FEWEST, min(MOST, next(fitting, start - 1)))


def _fits(values: Tensor, bits: int, fraction_bits: int) -> bool:
    whole = (values.double() * 2.0**fraction_bits).round()
    limit = 2 ** (bits - 1)
    return bool((whole >= -limit).all() and (whole <= limit - 1).all())


def to_fixed_point(
    values: Tensor, bits: int, fraction_bits: int, stochastic: bool = False, generator: torch.Generator | None = None
) -> Tensor:
    """Return the values as multiples of 2^-fraction_bits, cut to what `bits` can say.

    To the nearest, or, if stochastic, up or down with a probability that makes the mean right, drawn from `generator`
    (None: torch's global one).
    """
    scaled = values * 2.0**fraction_bits
    if stochastic:
        below = scaled.floor()
        drawn = torch.rand(scaled.shape, generator=generator, dtype=scaled.dtype, device=_device(scaled, generator))
        whole = below + (drawn.to(scaled.device) < scaled - below)
    else:
        whole = scaled.round()
    limit = 2 ** (bits - 1)
    return whole.clamp(-limit, limit - 1) * 2.0**-fraction_bits + 0.0  # no negative zeros


def _device(values: Tensor, generator: torch.Generator | None) -> torch.device:
    return values.device if generator is None else generator.device


class FixedPointNumbers(nn.Module):
    """Values as `to_fixed_point` has them, straight through; stochastic in training mode only."""

    def __init__(self, bits: int, fraction_bits: int, stochastic: bool):
        super().__init__()
        self.bits, self.fraction_bits, self.stochastic = bits, fraction_bits, stochastic

    def forward(self, latent: Tensor) -> Tensor:
        stochastic = self.stochastic and self.training
        return straight_through(latent, to_fixed_point(latent.detach(), self.bits, self.fraction_bits, stochastic))
