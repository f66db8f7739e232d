"""Activations of few bits with fixed levels, those best for a Gaussian cut at zero (Cai et al. 2017, HWGQ)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compressbench.layers.straight_through import straight_through

STEPS = (0.797885, 0.538812, 0.321729, 0.184243, 0.102984, 0.056584, 0.030691, 0.016482)
"""By bits 1 to 8, the step D for which the levels D, 2D ... (2^bits - 1) D are nearest to what is positive of a
Gaussian of variance 1, in the squared error (HWGQ, Eq. 8 and 9; the paper has 0.538 for 2 bits)."""
BACKWARD = ("clipped", "log_tailed", "relu")
"""Which function's gradient goes back (HWGQ, section 3.3)."""


class HalfWaveActivation(nn.Module):
    """The nearest of D, 2D ... (2^bits - 1) D for what is positive, 0 for the rest; D = `scale` times STEPS.

    backward: the gradient is that of `relu`; `clipped`: of a ReLU up to the largest level q; or `log_tailed`: above q
    of q + scale log(x / scale - t), t = q / scale - 1, which is 1 at q and falls as 1 / x (HWGQ, Eq. 14 to 17).
    """

    def __init__(self, bits: int, backward: str = "clipped", scale: float = 1.0):
        super().__init__()
        if not 1 <= bits <= len(STEPS) or backward not in BACKWARD:
            allowed = f"1 to {len(STEPS)}, and {', '.join(BACKWARD)}"
            raise ValueError(f"bits is {bits}, backward {backward!r}; allowed: {allowed}")
        self.bits, self.backward, self.scale = bits, backward, scale

    def forward(self, input: Tensor) -> Tensor:
        step, levels = self.scale * STEPS[self.bits - 1], 2**self.bits - 1
        nearest = (input / step).round().clamp(1, levels) * step
        return straight_through(self._alike(input, levels * step), torch.where(input > 0, nearest, 0.0))

    def extra_repr(self) -> str:
        return f"bits={self.bits}, backward={self.backward!r}, scale={self.scale:g}"

    def _alike(self, input: Tensor, largest: float) -> Tensor:
        """Return the function whose gradient counts."""
        if self.backward == "clipped":
            return input.clamp(0, largest)
        if self.backward == "log_tailed":
            beyond = (input - largest).clamp_min(0) / self.scale
            return input.clamp(0, largest) + self.scale * beyond.log1p()
        return input.relu()
