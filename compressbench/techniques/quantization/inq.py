"""Weights become zero or powers of two, portion after portion, while the rest makes up for it (Zhou et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.format import PowerOfTwo
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._layers import layers_of, select
from compressbench.techniques.quantization._freeze import freeze, freeze_where
from compressbench.techniques.quantization._powers import largest_power, to_powers

CHOICES = {
    "partition": ("largest", "smallest", "random"),
    "beyond": ("largest", "zero"),
    "largest_power": ("max", "mse"),
}


@dataclass(frozen=True)
class IncrementalQuantization(Technique):
    """INQ: quantize the largest weights of every layer, freeze them, retrain the others, and so on.

    Source: Zhou et al. 2017, "Incremental Network Quantization". A weight of b bits is 0 or +-2^n with n from n1 down
    to n1 + 1 - 2^(b-2), n1 = floor(log2(4/3 max|w|)) of the layer's weights before the first step.

    bits: 2 (ternary) to 8; 5 gives 17 levels, 3 gives 5. portions: the fraction of each layer's weights that is
    quantized after each step, rising to 1; the last step is not retrained. The fields of `TrainingConfig` are the
    retraining of one step. targets, ignore: what is quantized, and what is not; biases and batch normalisation are not.

    The other fields are for experiments. partition: which weights come first: the `largest` ones (the paper's), the
    `smallest`, or `random` ones (its control, section 3.3). batch_norm_and_biases: scales and shifts of every batch
    norm and the biases of the quantized layers are quantized too, each with a largest power of its own, in the same
    portions; running statistics are not. beyond: what becomes of a weight of 3/2 of the largest power or more, to which
    retraining may move it, and where the paper's rule ends: the `largest` power or `zero`. largest_power: n1 is that
    of the largest weight (`max`), or the one with the least squared error of the layer's weights (`mse`).

    A public implementation (Mxbonn/INQ-pytorch, commit 1c04930) took the smallest first, rounded every parameter and
    made zeros of the weights beyond; it chose anew among all weights before every step, where ours stay quantized.

    Weights that a mask holds at zero are quantized already and do not count in the portions.

    We differ: the paper does not say what becomes of weights beyond.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    bits: int
    portions: list[float]
    partition: str = "largest"
    batch_norm_and_biases: bool = False
    beyond: str = "largest"
    largest_power: str = "max"

    needs = frozenset({"trained"})
    adds = frozenset({"quantized"})
    refuses = frozenset({"quantized"})

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise out_of_range("bits", self.bits, "2 to 8")
        rising = all(low < high for low, high in zip([0.0, *self.portions], self.portions, strict=False))
        if not (rising and self.portions and self.portions[-1] == 1):
            raise out_of_range("portions", self.portions, "fractions more than 0 that rise and end at 1")
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key} is {getattr(self, key)!r}; {suggestion(getattr(self, key), allowed)}")
        if self.largest_power == "mse" and self.beyond == "zero":
            raise ValueError("beyond is 'zero', and largest_power 'mse' leaves weights beyond; allowed: 'largest'")

    def apply(self, subject: Subject, context: Context) -> Subject:
        largest = self._largest_powers(subject)
        quantized = {name: _masked(subject, name) for name in largest}
        for portion in self.portions:
            for name, power in largest.items():
                weight = subject.model.get_parameter(name).detach()
                earlier, count = quantized[name], self._count(subject, name, portion)
                quantized[name] = earlier | highest_of(self._turn(weight, context), earlier, count)
                value = to_powers(weight, self.bits, power, beyond=self.beyond)
                freeze_where(subject, name, quantized[name], value)
            if portion < 1:
                subject = context.train(subject, self.training)
        for name, power in largest.items():
            freeze(subject, name, PowerOfTwo(self.bits, power))
        return subject

    def _largest_powers(self, subject: Subject) -> dict[str, int]:
        """Return n1 by name of the parameter. One without an element that is not zero is left out."""
        found = {}
        for name, shown in self._parameters(subject.model).items():
            weight = subject.model.get_parameter(name).detach()
            if not weight.any():
                subject.skipped.append(Skipped(shown, "it is zero everywhere, so no power of two suits it"))
                continue
            found[name] = largest_power(weight, self.bits, self.largest_power)
        return found

    def _parameters(self, model: nn.Module) -> dict[str, str]:
        """Return the names of what is quantized, and what each is called for people."""
        selected = select(model, self.targets, self.ignore)
        found = {f"{name}.weight": name for name in selected}
        if self.batch_norm_and_biases:
            for name, layer in (selected | layers_of(model, ["bn"])).items():
                for tensor, _ in layer.named_parameters(recurse=False):
                    found.setdefault(f"{name}.{tensor}", f"{name}.{tensor}")
        return found

    def _turn(self, weight: Tensor, context: Context) -> Tensor:
        """Return a number for each weight: the higher, the sooner its turn comes."""
        if self.partition == "random":
            return torch.rand(weight.shape, generator=context.generator)
        return weight.abs() if self.partition == "largest" else -weight.abs()

    def _count(self, subject: Subject, name: str, portion: float) -> int:
        """Return how many weights are quantized after a step, masked ones included."""
        masked = _masked(subject, name)
        free = masked.numel() - int(masked.sum())
        return masked.numel() - free + round(portion * free)


def highest_of(turn: Tensor, quantized: Tensor, count: int) -> Tensor:
    """Return where the highest numbers are that are not quantized yet, so many that `count` are then.

    Of equal ones the first are taken. quantized: boolean, of the same shape.
    """
    chosen = torch.zeros_like(quantized)
    missing = count - int(quantized.sum())
    if missing == 0:
        return chosen
    turn = turn.masked_fill(quantized, -inf)
    free = turn[~quantized]
    threshold = free.kthvalue(len(free) - missing + 1).values
    chosen = turn > threshold
    equal = (turn == threshold).flatten().nonzero().flatten()[: missing - int(chosen.sum())]
    chosen.view(-1)[equal] = True
    return chosen


def _masked(subject: Subject, name: str) -> Tensor:
    """Return where masks hold a parameter at zero."""
    keep = subject.mask(name)
    return torch.zeros_like(subject.model.get_parameter(name), dtype=torch.bool) if keep is None else ~keep
