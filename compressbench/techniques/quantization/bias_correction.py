"""Biases take back what quantized weights added to the mean of each output (Nagel et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.format import Dense
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import is_convolution, leave_out, select
from compressbench.techniques.quantization._output_statistics import output_statistics
from compressbench.techniques.quantization._readers import readers_of

METHODS = ("empirical", "analytic")


@dataclass(frozen=True)
class BiasCorrection(Technique):
    """Subtract from each bias how far the mean of its output moved when weights were quantized.

    Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.2.
    `empirical`: the mean of each output on calibration examples, less that in the network before, layer after layer
    (appendix D). `analytic`, without data: (quantized - original weights) E[x] summed over input channels and kernel
    positions, where x comes from a batch norm through a ReLU: E[x] = g n(-b / g) + b (1 - N(-b / g)) of its scale g and
    shift b, n and N those of the standard normal distribution (Eq. 19).

    targets, ignore: whose biases are corrected, and whose not. original: the network before quantization, `{stage: S}`.
    method: `empirical` or `analytic`, which leaves out layers that read anything else. examples: calibration examples
    of the empirical one.

    We differ: a layer without a bias has its correction in the running mean of the batch norm that reads it, which is
    the same in evaluation; if none does, it is left out, and so is one whose bias is quantized.
    """

    targets: list[str]
    ignore: list[str]
    original: Source
    method: str
    examples: int

    needs: ClassVar[frozenset[str]] = frozenset({"quantized"})
    adds: ClassVar[frozenset[str]] = frozenset({"quantized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"int8"})

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}; {suggestion(self.method, METHODS)}")
        if self.examples < 1:
            raise out_of_range("examples", self.examples, "1 or more")

    def fault_after(self, earlier: Sequence[Technique]) -> str | None:
        folded = any("folded" in technique.adds for technique in earlier)
        if self.method == "analytic" and folded:
            return "takes the mean of inputs from batch norm, which was folded; method: empirical measures it"
        return None

    @torch.no_grad()
    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError if nothing can be corrected, or not a layer that a selector names exactly, or if `original`
        is another network."""
        model, original = subject.model.eval(), context.subject_of(self.original).model.eval()
        readers, corrected = readers_of(model, context.example), 0
        for name, layer in select(model, self.targets, self.ignore).items():
            before = dict(original.named_modules()).get(name)
            if before is None or before.get_parameter("weight").shape != layer.get_parameter("weight").shape:
                raise ValueError(f"original: {self.original} has no {name} of the same shape")
            where = _correctable(subject, name, readers)
            shift = where if isinstance(where, str) else self._shift(model, name, original, readers, context)
            if isinstance(where, str) or isinstance(shift, str):
                leave_out(subject.skipped, name, self.targets, "cannot be corrected", str(shift))
                continue
            where.sub_(shift.to(where.dtype)) if where is getattr(layer, "bias", None) else where.add_(shift)
            corrected += 1
        if not corrected:
            raise ValueError(
                f"targets {self.targets} without ignore {self.ignore} leaves no layer that can be corrected"
            )
        return subject

    def _shift(
        self, model: nn.Module, name: str, original: nn.Module, readers: dict[str, list[str]], context: Context
    ) -> Tensor | str:
        """Return how far the mean of each output of a layer moved, or why that is not known."""
        layer, before = model.get_submodule(name), original.get_submodule(name)
        if self.method == "empirical":
            try:
                ours, theirs = (
                    output_statistics(network, own, context, self.examples)[0]
                    for network, own in ((model, layer), (original, before))
                )
            except ValueError as unseen:
                return str(unseen)
            return ours - theirs
        means = _means_of_inputs(model, name, readers)
        error = layer.get_parameter("weight") - before.get_parameter("weight")
        if means is None or error.shape[1] != len(means):
            return "what it reads does not come from a batch norm through a ReLU"
        return error.flatten(2).sum(2) @ means if error.dim() > 2 else error @ means


def _correctable(subject: Subject, name: str, readers: dict[str, list[str]]) -> Tensor | str:
    """Return a layer's bias, or the running mean of the batch norm that reads it; else why there is neither."""
    layer = subject.model.get_submodule(name)
    if getattr(layer, "bias", None) is not None:
        plain = isinstance(subject.format_of(f"{name}.bias"), Dense)
        return layer.get_parameter("bias") if plain else "its bias is quantized too"
    following = [subject.model.get_submodule(reader) for reader in readers.get(name, [])]
    if len(following) == 1 and isinstance(following[0], _BatchNorm) and following[0].running_mean is not None:
        return following[0].running_mean
    return "it has no bias, and no batch norm reads it"


def _means_of_inputs(model: nn.Module, name: str, readers: dict[str, list[str]]) -> Tensor | None:
    """Return the mean of each input channel, if it comes from a batch norm through a ReLU."""
    if is_convolution(layer := model.get_submodule(name)) and layer.groups > 1:
        return None
    for norm, first in readers.items():
        found = model.get_submodule(norm)
        if not isinstance(found, _BatchNorm) or not found.affine:
            continue
        for relu in first:
            if type(model.get_submodule(relu)) is nn.ReLU and name in readers.get(relu, []):
                return rectified_mean(found.bias, found.weight.abs())
    return None


def rectified_mean(mean: Tensor, deviation: Tensor) -> Tensor:
    """Return the mean of max(0, x) for normal x."""
    deviation = deviation.clamp(min=torch.finfo(deviation.dtype).tiny)
    ratio = -mean / deviation
    density = torch.exp(-ratio.square() / 2) / math.sqrt(2 * math.pi)
    found: Tensor = deviation * density + mean * (1 - torch.special.ndtr(ratio))
    return found
