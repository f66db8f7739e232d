"""Input channels with the largest weights are given twice and halved, so that grids need not reach so far."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.constraint import Mask
from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.format import Blocks, NOfM
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import select, usable
from compressbench.techniques.quantization._channels import Channels, channels_of, reading, released, rows_of
from compressbench.techniques.quantization._grid import FEWEST, MOST

SCALES = ("layer", "row")


@dataclass(frozen=True)
class OutlierChannelSplitting(Technique):
    """Duplicate the channels that the largest weights read and halve these weights; the network computes the same.

    Source: Zhao et al. 2019, "Improving Neural Network Quantization without Retraining using Outlier Channel
    Splitting", sections 3.2 to 3.4. One channel after the other: the one that the largest weight reads, be it a copy,
    is made once more by the layer before. A weight w becomes (w - 1/2) / 2 and (w + 1/2) / 2 in units of the grid that
    follows, so that the two round to what w does (quantization-aware splitting). It is for the quantization behind it;
    batch norm is folded before (`coding/fold_batch_norm`), and the network has more parameters and MACs afterwards.

    targets, ignore: the layers whose outputs are split for the layers that read them; one whose outputs do not go
    through ReLU, pooling, dropout or flattening alone into convolutions without groups and linear layers is left out.
    ratio: channels to add, as a fraction of those there are, rounded up; more than 0 and less than 1; the paper's are
    0.01 to 0.1. bits: of the weights of the quantizer that follows, 2 to 8; null: plain halves. scale: what of the
    layer that reads has a scale there: the whole `layer`, as in the paper, or each `row` (output channel), whose
    largest weights then count by the sum of their squares.

    We differ: `row` is ours. The grid is a later stage's: its steps are foreseen from the largest halves, so where a
    shifted half is the largest they come out wider, by 1 in 2 (2^(bits - 1) - 1) at most. Weights that are zero stay
    so. Channels of the first layer's inputs, which nothing in the network makes, are never split.
    """

    targets: list[str]
    ignore: list[str]
    ratio: float
    bits: int | None
    scale: str

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"equalized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        if not 0 < self.ratio < 1:
            raise out_of_range("ratio", self.ratio, "more than 0 and less than 1")
        if self.bits is not None and not FEWEST <= self.bits <= MOST:
            raise out_of_range("bits", self.bits, f"{FEWEST} to {MOST}, or null (plain halves)")
        if self.scale not in SCALES:
            raise ValueError(f"scale is {self.scale!r}; {suggestion(self.scale, SCALES)}")

    @torch.no_grad()
    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError if no layer's channels can be split, or those of one that a selector names exactly."""
        model = subject.model.eval()
        found, obstacles = channels_of(model, list(select(model, self.targets, self.ignore)), context.example)
        obstacles |= {each.layer: _obstacle(subject, each) for each in found}
        names = usable(subject.skipped, obstacles, self.targets, "cannot have its channels split")
        for channels in found:
            if channels.layer in names:
                self._split(subject, channels)
        return subject

    def _split(self, subject: Subject, channels: Channels) -> None:
        weights = {name: _read(subject.model, name, channels) for name in channels.readers}
        sizes = torch.cat([self._largest(weight) for weight in weights.values()])
        number = math.ceil(self.ratio * sizes.shape[1])
        splits, sizes = outliers(sizes, number)
        reach = sizes.amax(1).split([len(self._largest(weight)) for weight in weights.values()])
        origins = list(range(sizes.shape[1] - number))
        for channel in splits:
            origins.append(origins[channel])
        released(subject, channels)
        for (name, weight), largest in zip(weights.items(), reach, strict=True):
            step = largest.view(-1, 1) / (2 ** (self.bits - 1) - 1) if self.bits else torch.zeros(1, 1).to(weight)
            _widen_inputs(subject, name, split(weight, splits, step), origins)
        _widen_outputs(subject, channels.layer, origins)

    def _largest(self, weight: Tensor) -> Tensor:
        """Return the largest size of the weights that have a scale in common and read one channel, (scales, channels).

        weight: (rows, channels, places).
        """
        sizes = weight.abs().amax(2)
        return sizes.amax(0, keepdim=True) if self.scale == "layer" else sizes


def outliers(sizes: Tensor, number: int) -> tuple[list[int], Tensor]:
    """Return which channels are split, one after the other, a copy being numbered behind all; and what sizes become.

    sizes: of the largest weight that reads a channel, (scales, channels).
    """
    sizes, splits = sizes.clone(), []
    for _ in range(number):
        largest, place = sizes.max(1)
        channel = int(sizes.new_zeros(sizes.shape[1]).index_add_(0, place, largest.square()).argmax())
        splits.append(channel)
        sizes[:, channel] /= 2
        sizes = torch.cat([sizes, sizes[:, channel : channel + 1]], 1)
    return splits, sizes


def split(weight: Tensor, splits: Iterable[int], step: Tensor) -> Tensor:
    """Return the weights (rows, channels, places) with channels split. step: of the grid; 0 for plain halves."""
    weight = weight.clone()
    for channel in splits:
        half = weight[:, channel] / 2
        shift = torch.where(half != 0, step / 4, 0)
        weight[:, channel] = half - shift
        weight = torch.cat([weight, (half + shift)[:, None]], 1)
    return weight


def _obstacle(subject: Subject, channels: Channels) -> str:
    """Return why channels that can be scaled cannot be given twice, or nothing."""
    for name in (channels.layer, *channels.readers):
        if getattr(subject.model.get_submodule(name), "groups", 1) > 1:
            return f"{name} is a convolution in groups"
        if isinstance(subject.format_of(f"{name}.weight"), NOfM | Blocks):
            return f"the zeros of {name} lie in a pattern"
    return ""


def _read(model: nn.Module, name: str, channels: Channels) -> Tensor:
    """Return the weights of a layer that read these channels, (rows, channels, places)."""
    weights = reading(model.get_submodule(name), rows_of(model, channels.layer))
    assert weights is not None
    return weights.transpose(0, 1).flatten(2)


def _widen_outputs(subject: Subject, name: str, origins: list[int]) -> None:
    """Have a layer make these channels of its own."""
    layer = subject.model.get_submodule(name)
    for key, parameter in list(layer.named_parameters(recurse=False)):
        setattr(layer, key, nn.Parameter(parameter.detach()[origins], parameter.requires_grad))
    setattr(layer, "out_features" if isinstance(layer, nn.Linear) else "out_channels", len(origins))
    if (keep := _mask_of(subject, name)) is not None:
        keep.keep = keep.keep[origins]


def _widen_inputs(subject: Subject, name: str, weight: Tensor, origins: list[int]) -> None:
    """Give a layer other weights (rows, channels, places), which read these channels of its former ones."""
    layer = subject.model.get_submodule(name)
    old = layer.get_parameter("weight")
    linear, places = isinstance(layer, nn.Linear), weight.shape[2]
    shape = (len(weight), -1) if linear else (len(weight), len(origins), *old.shape[2:])
    layer.weight = nn.Parameter(weight.reshape(shape), old.requires_grad)
    setattr(layer, "in_features" if linear else "in_channels", layer.weight.shape[1])
    if (keep := _mask_of(subject, name)) is not None:
        keep.keep = keep.keep.reshape(len(weight), -1, places)[:, origins].reshape(shape)


def _mask_of(subject: Subject, name: str) -> Mask | None:
    """Return the promise of zeros in the weights of a layer."""
    masks = (each for each in subject.constraints if isinstance(each, Mask) and each.parameter == f"{name}.weight")
    return next(masks, None)
