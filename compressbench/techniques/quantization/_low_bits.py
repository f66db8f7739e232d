"""What DoReFa-Net and PACT share: weights of few bits, and ReLUs replaced by activations of few bits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules import activation

from compressbench.core.errors import out_of_range
from compressbench.core.format import Binary, Codebook, Format
from compressbench.core.subject import Skipped, Subject
from compressbench.layers.activations import quantized
from compressbench.layers.straight_through import straight_through
from compressbench.techniques._layers import select

MOST_BITS, OFF = 8, 32


class DorefaWeights(nn.Module):
    """m (2 q_k(tanh(w) / 2m + 1/2) - 1), m the largest |tanh(w)| of the layer; for one bit, mean|w| sign(w).

    The rounding, m and the mean are passed straight through (DoReFa-Net, Eq. 8 to 10).
    """

    def __init__(self, bits: int):
        super().__init__()
        self.bits = bits

    def forward(self, latent: Tensor) -> Tensor:
        smallest = torch.finfo(latent.dtype).tiny
        if self.bits == 1:
            scale = latent.detach().abs().mean().clamp_min(smallest)
            return straight_through(latent, torch.where(latent >= 0, scale, -scale))
        bounded = latent.tanh()
        largest = bounded.detach().abs().max().clamp_min(smallest)
        return straight_through(bounded, largest * (2 * quantized(bounded / (2 * largest) + 0.5, self.bits) - 1))


def format_of(bits: int) -> Format:
    """Return how weights of so many bits are stored."""
    return Binary() if bits == 1 else Codebook(bits)


def check_bits(**bits: int) -> None:
    """Raise ValueError for a number of bits that is neither 1 to 8 nor 32."""
    for key, value in bits.items():
        if not (1 <= value <= MOST_BITS or value == OFF):
            raise out_of_range(key, value, f"1 to {MOST_BITS}, or {OFF} for none quantized")


def bits_by_weight(
    subject: Subject, targets: list[str], ignore: list[str], bits: int, kept_bits: int
) -> dict[str, int]:
    """Return the bits of every weight that is quantized: `bits`, or kept_bits of a layer that `ignore` names."""
    selected, without_kept = (select(subject.model, targets, names) for names in ([], ignore))
    found = {f"{name}.weight": bits if name in without_kept else kept_bits for name in selected}
    return {name: number for name, number in found.items() if number != OFF}


def relus(model: nn.Module) -> list[str]:
    """Return the names of every ReLU and ReLU6.

    Raises ValueError if there is none: one that is called as a function cannot be found.
    """
    found = [name for name, module in model.named_modules() if type(module) in (nn.ReLU, nn.ReLU6)]
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no ReLU module, so there is no activation that could be quantized"
        )
    return found


def replace_relus(subject: Subject, make: Callable[[], nn.Module]) -> None:
    """Put a module in the place of every ReLU and ReLU6 (`relus`); other activations are skipped."""
    for name in relus(subject.model):
        subject.replace_module(name, make())
    for name, module in subject.model.named_modules():
        if type(module).__name__ in activation.__all__:
            subject.skipped.append(Skipped(name, f"activations of {type(module).__name__} stay as they are"))
