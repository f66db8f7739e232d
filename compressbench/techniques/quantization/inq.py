"""Weights become zero or powers of two, portion after portion, while the rest makes up for it (Zhou et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from compressbench.core.constraint import Mask
from compressbench.core.context import Context
from compressbench.core.faults import out_of_range
from compressbench.core.format import PowerOfTwo
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.core.training import Training
from compressbench.techniques._layers import select
from compressbench.techniques.quantization._freeze import freeze, freeze_where
from compressbench.techniques.quantization._powers import power_near, to_powers


@dataclass(frozen=True, kw_only=True)
class IncrementalQuantization(Training, Technique):
    """INQ: quantize the largest weights of every layer, freeze them, retrain the others, and so on.

    Source: Zhou et al. 2017, "Incremental Network Quantization". A weight of b bits is 0 or +-2^n with n from n1 down
    to n1 + 1 - 2^(b-2), n1 = floor(log2(4/3 max|w|)) of the layer's weights before the first step.

    bits: 2 (ternary) to 8; 5 gives 17 levels, 3 gives 5. portions: the fraction of each layer's weights that is
    quantized after each step, rising to 1; the last step is not retrained. The fields of `Training` are the retraining
    of one step. layers, keep: what is quantized, and what is not; biases and batch normalisation are not.

    Weights that a mask holds at zero are quantized already and do not count in the portions.

    We differ: retraining may move a weight above 3/2 of the largest power, where the paper's rule ends; it becomes
    the largest power.
    """

    layers: list[str]
    keep: list[str]
    bits: int
    portions: list[float]

    needs = frozenset({"trained"})
    adds = frozenset({"quantized"})
    refuses = frozenset({"quantized"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.bits <= 8:
            raise out_of_range("bits", self.bits, "2 to 8")
        rising = all(low < high for low, high in zip([0.0, *self.portions], self.portions, strict=False))
        if not (rising and self.portions and self.portions[-1] == 1):
            raise out_of_range("portions", self.portions, "fractions more than 0 that rise and end at 1")

    def apply(self, subject: Subject, context: Context) -> Subject:
        largest = self._largest_powers(subject)
        quantized = {name: _masked(subject, name) for name in largest}
        for portion in self.portions:
            for name, power in largest.items():
                weight = subject.model.get_parameter(name).detach()
                earlier = quantized[name]
                quantized[name] = earlier | largest_of(weight, earlier, self._count(subject, name, portion))
                freeze_where(subject, name, quantized[name], to_powers(weight, self.bits, power))
            if portion < 1:
                subject = context.train(subject, self)
        for name, power in largest.items():
            freeze(subject, name, PowerOfTwo(self.bits, power))
        return subject

    def _largest_powers(self, subject: Subject) -> dict[str, int]:
        """Return n1 by name of the parameter. A layer without a weight that is not zero is left out."""
        found = {}
        for name, layer in select(subject.model, self.layers, self.keep).items():
            most = layer.get_parameter("weight").detach().abs().max()
            if most == 0:
                subject.skipped.append(Skipped(name, "all its weights are zero, so no power of two suits them"))
                continue
            found[f"{name}.weight"] = int(power_near(most))
        return found

    def _count(self, subject: Subject, name: str, portion: float) -> int:
        """Return how many weights are quantized after a step, masked ones included."""
        masked = _masked(subject, name)
        free = masked.numel() - int(masked.sum())
        return masked.numel() - free + round(portion * free)


def largest_of(weight: Tensor, quantized: Tensor, count: int) -> Tensor:
    """Return where the largest weights are that are not quantized yet, so many that `count` are then.

    Of equal ones the first are taken. quantized: boolean, of the weight's shape.
    """
    chosen = torch.zeros_like(quantized)
    missing = count - int(quantized.sum())
    if missing == 0:
        return chosen
    magnitude = weight.abs().masked_fill(quantized, -1.0)
    free = magnitude[~quantized]
    threshold = free.kthvalue(len(free) - missing + 1).values
    chosen = magnitude > threshold
    equal = (magnitude == threshold).flatten().nonzero().flatten()[: missing - int(chosen.sum())]
    chosen.view(-1)[equal] = True
    return chosen


def _masked(subject: Subject, name: str) -> Tensor:
    """Return where masks hold a parameter at zero."""
    parameter = subject.model.get_parameter(name)
    masked = torch.zeros(parameter.shape, dtype=torch.bool, device=parameter.device)
    for mask in (kept for kept in subject.constraints if isinstance(kept, Mask) and kept.parameter == name):
        masked |= ~mask.keep.to(masked.device)
    return masked
