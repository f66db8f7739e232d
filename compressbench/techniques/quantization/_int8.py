"""What both int8 techniques share: the rule for weights, the rule for activations, and the layers that use them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Skipped, Subject
from compressbench.core.task import Inputs
from compressbench.layers.int8 import Int8Conv2d, Int8Linear, keep_unfused
from compressbench.techniques._layers import select, usable
from compressbench.techniques.quantization._observers import Range, Ranges, activation_ranges, check_range

LARGEST = 127
"""-128 is not used, so that the weights are symmetric and zero is zero."""


def weight_scales(weight: Tensor) -> Tensor:
    """Return max |w| / 127 of each output channel, (channels,); 1 for one whose weights are all zero."""
    largest = weight.detach().abs().flatten(1).amax(1)
    return torch.where(largest > 0, largest / LARGEST, torch.ones_like(largest))


def weight_levels(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights as int8, and the scale of each output channel: w = level * scale, rounded to even."""
    scales = weight_scales(weight)
    levels = weight.detach() / scales.view(-1, *[1] * (weight.dim() - 1))
    return levels.round().clamp(-LARGEST, LARGEST).to(torch.int8), scales


def affine(range: Range) -> tuple[float, int]:
    """Return scale and zero point of the 256 values of a range, which is widened to hold zero exactly."""
    low, high = min(range[0], 0.0), max(range[1], 0.0)
    scale = (high - low) / 255 or 1.0
    return scale, min(255, max(0, round(-low / scale)))


class Calibration(Protocol):
    """The fields that both techniques have; see `PostTrainingInt8`."""

    @property
    def targets(self) -> list[str]: ...
    @property
    def ignore(self) -> list[str]: ...
    @property
    def range(self) -> str: ...
    @property
    def percentile(self) -> float: ...
    @property
    def calibration_batch_size(self) -> int: ...
    @property
    def calibration_batches(self) -> int: ...


def check_calibration(fields: Calibration) -> None:
    """Raise ValueError for fields out of range."""
    check_range(fields.range, fields.percentile)
    for key in ("calibration_batch_size", "calibration_batches"):
        if getattr(fields, key) < 1:
            raise out_of_range(key, getattr(fields, key), "1 or more")


def calibrated(fields: Calibration, subject: Subject, context: Context) -> dict[str, Ranges]:
    """Return the ranges of the selected layers on calibration examples; a layer that never runs is skipped."""
    names = list(_convertible(subject, fields.targets, fields.ignore))

    def batches() -> Iterator[tuple[Inputs, Tensor]]:
        return context.calibration(fields.calibration_batch_size, fields.calibration_batches)

    found = activation_ranges(subject.model, names, batches, fields.range, fields.percentile)
    subject.skipped += [Skipped(name, "it never runs") for name in names if name not in found]
    return found


def _convertible(subject: Subject, targets: list[str], ignore: list[str]) -> dict[str, nn.Conv2d | nn.Linear]:
    """Return the selected layers that have an int8 form; the others are appended to `subject.skipped`.

    Raises ValueError as `select` does, for one that is selected by its exact name, and if none is left.
    """
    layers = select(subject.model, targets, ignore)
    obstacles = {name: _obstacle(layer) for name, layer in layers.items()}
    names = usable(subject.skipped, obstacles, targets, "cannot compute with int8")
    found = {name: layer for name, layer in layers.items() if name in names}
    return {name: layer for name, layer in found.items() if isinstance(layer, nn.Conv2d | nn.Linear)}


def _obstacle(layer: nn.Module) -> str:
    if type(layer) not in (nn.Conv2d, nn.Linear):
        return f"a {type(layer).__name__} has no int8 form; Conv2d and Linear have"
    if isinstance(layer, nn.Conv2d) and (isinstance(layer.padding, str) or layer.padding_mode != "zeros"):
        return f"its padding is {layer.padding!r} with {layer.padding_mode}; int8 pads with so many zeros"
    return ""


def to_int8(subject: Subject, ranges: Mapping[str, Ranges]) -> Subject:
    """Put int8 layers in the place of the layers that `ranges` names.

    Promises about their weights are done with: nothing can train an int8 weight, and zeros are zero in it.
    """
    for name, seen in ranges.items():
        layer = subject.model.get_submodule(name)
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        subject.replace_module(name, int8_layer(layer, seen))
    keep_unfused(subject.model)
    return subject


def int8_layer(layer: nn.Conv2d | nn.Linear, ranges: Ranges) -> Int8Conv2d | Int8Linear:
    """Return the layer in int8; its bias is the same parameter."""
    made: Int8Conv2d | Int8Linear
    biased, rounds_output = layer.bias is not None, ranges.output is not None
    with torch.device("meta"):  # draws nothing at random
        if isinstance(layer, nn.Conv2d):
            geometry = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
            made = Int8Conv2d(layer.in_channels, layer.out_channels, *geometry, biased, rounds_output)  # type: ignore[arg-type]
        else:
            made = Int8Linear(layer.in_features, layer.out_features, biased, rounds_output)
    made.bias = layer.bias
    made.weight, made.weight_scale = weight_levels(layer.weight)
    for side, seen in (("input", ranges.input), ("output", ranges.output)):
        if seen is not None:
            scale, zero_point = affine(seen)
            setattr(made, f"{side}_scale", torch.tensor(scale, device=layer.weight.device))
            zero_points = torch.tensor(zero_point, dtype=torch.uint8, device=layer.weight.device)
            setattr(made, f"{side}_zero_point", zero_points)
    return made.train(layer.training)
