"""Channels of neighbouring layers are scaled so that their weights have the same ranges (Nagel et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import select, usable
from compressbench.techniques.quantization._channels import Channels, channels_of, reading, released, rows_of, scale
from compressbench.techniques.quantization._output_statistics import output_statistics

DEVIATIONS = 3
"""Outputs fall below their mean by more once in 740 times, if they are normal."""


@dataclass(frozen=True)
class CrossLayerEqualization(Technique):
    """Divide each channel of a layer by s and multiply the weights that read it by s; what comes out stays the same.

    Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", sections 4.1.2
    and 4.1.3. s = sqrt(r1 / r2), r1 the largest |w| that makes the channel and r2 the largest that reads it, so that
    both are sqrt(r1 r2) afterwards (Eq. 11). It is for the quantization that follows; batch norm is folded before
    (`coding/fold_batch_norm`).

    targets, ignore: the layers whose outputs are scaled; one whose outputs do not go through ReLU, pooling, dropout or
    flattening alone into convolutions and linear layers is left out. iterations: rounds over all of them. absorb: then
    take c = max(0, mean - 3 standard deviations) of each output from the layer's bias and give W c to the bias of the
    layer that reads it behind a ReLU (Eq. 12 to 15), where nothing is padded and there are biases; the function is
    another one where an output is below c. examples: calibration examples that this is measured on.

    We differ: several layers that read the same channels count as one. Mean and deviation are measured, for folding
    took those of the batch norm away. Where the next layer pads with zeros, c would be missing: nothing is absorbed.
    """

    targets: list[str]
    ignore: list[str]
    iterations: int
    absorb: bool
    examples: int

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"equalized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        for key in ("iterations", "examples"):
            if getattr(self, key) < 1:
                raise out_of_range(key, getattr(self, key), "1 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError if no layer's channels can be scaled, or those of one that a selector names exactly."""
        model = subject.model.eval()
        names = list(select(model, self.targets, self.ignore))
        found, obstacles = channels_of(model, names, context.example)
        obstacles |= dict.fromkeys((channels.layer for channels in found), "")
        usable(subject.skipped, obstacles, self.targets, "cannot be scaled")
        for channels in found:
            released(subject, channels)
        for _ in range(self.iterations):
            for channels in found:
                scale(model, channels, _factors(model, channels))
        if self.absorb:
            for channels in found:
                self._absorb(subject, channels, context)
        return subject

    @torch.no_grad()
    def _absorb(self, subject: Subject, channels: Channels, context: Context) -> None:
        model, rows = subject.model, rows_of(subject.model, channels.layer)
        layer, readers = (model.get_submodule(channels.layer), list(map(model.get_submodule, channels.readers)))
        if why := _obstacle(layer, readers, [model.get_submodule(name) for name in channels.between]):
            subject.skipped.append(Skipped(channels.layer, f"nothing of its bias is absorbed: {why}"))
            return
        mean, deviation = output_statistics(model, layer, context, self.examples)
        excess = (mean - DEVIATIONS * deviation).clamp(min=0)
        layer.get_parameter("bias").sub_(excess)
        for name, reader in zip(channels.readers, readers, strict=True):
            weights = reading(reader, rows)
            assert weights is not None
            depthwise = isinstance(reader, nn.Conv2d) and reader.groups > 1
            sums = weights.flatten(1).sum(1) * excess if depthwise else _summed(weights) @ excess
            reader.get_parameter("bias").add_(sums)
            subject.release(f"{name}.bias")


@torch.no_grad()
def _factors(model: nn.Module, channels: Channels) -> Tensor:
    made = model.get_submodule(channels.layer).get_parameter("weight").abs().flatten(1).amax(1)
    views = [reading(model.get_submodule(name), len(made)) for name in channels.readers]
    read = torch.stack([view.abs().flatten(1).amax(1) for view in views if view is not None]).amax(0)
    return torch.where((made > 0) & (read > 0), (made / read).sqrt(), torch.ones_like(made))


def _obstacle(layer: nn.Module, readers: list[nn.Module], between: list[nn.Module]) -> str:
    """Return why a shift of the outputs cannot be given to the readers, or nothing."""
    if not any(isinstance(module, nn.ReLU) for module in between):
        return "no ReLU follows"
    if not all(
        isinstance(module, nn.ReLU | nn.Dropout | nn.Dropout2d | nn.Identity | nn.Flatten) for module in between
    ):
        return "more than a ReLU lies before the next layer"
    if any(getattr(each, "bias", None) is None for each in (layer, *readers)):
        return "a bias is missing"
    if any(isinstance(each, nn.Conv2d) and each.padding != (0, 0) for each in readers):
        return "the next layer pads with zeros"
    return ""


def _summed(weights: Tensor) -> Tensor:
    """Return the weights (channels, rows, ...) as (rows, channels), summed over positions."""
    return weights.flatten(2).sum(2).T if weights.dim() > 2 else weights.T
