"""Training that knows it will be int8 (Jacob et al. 2018, section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent
from compressbench.techniques.quantization._int8 import (
    LARGEST,
    calibrated,
    check_calibration,
    to_int8,
    weight_scales,
)
from compressbench.techniques.quantization._observers import Range, Ranges


@dataclass(frozen=True)
class QuantizationAwareInt8(Technique):
    """Train on with weights and activations rounded as int8 will round them, then convert like `ptq_int8`.

    Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference", section 3.1. Gradients pass rounding as if it were not there, and stop where a value is outside the
    range. Weights have their scale from their largest value at every step; ranges of activations start from
    calibration and follow each batch's least and largest value, `range_decay` of the old staying.

    targets, ignore, range, percentile, calibration_batch_size, calibration_batches: as in `quantization/ptq_int8`.

    We differ: activations are rounded from the first step, as their ranges are calibrated; batch norm is not folded
    in training (3.2): fold it before, or it stays as it is behind the int8 layer.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    range: str
    percentile: float
    calibration_batch_size: int
    calibration_batches: int
    range_decay: float

    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"int8", "quantized", "retrained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_calibration(self)
        if not 0 <= self.range_decay < 1:
            raise out_of_range("range_decay", self.range_decay, "0 or more and less than 1")

    def apply(self, subject: Subject, context: Context) -> Subject:
        ranges = calibrated(self, subject, context)
        functions: dict[str, nn.Module] = {f"{name}.weight": RoundedWeight() for name in ranges}
        with rounding(subject.model, ranges, self.range_decay), latent(subject, functions):
            subject = context.train(subject, self.training)
            trained = {name: _trained_ranges(subject.model.get_submodule(name)) for name in ranges}
        return to_int8(subject, trained)


class RoundedWeight(nn.Module):
    """Weights rounded to their int8 levels, with the gradient of the identity."""

    def forward(self, weight: Tensor) -> Tensor:
        scales = weight_scales(weight)
        zeros = torch.zeros(len(scales), dtype=torch.int32, device=weight.device)
        return torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, -LARGEST, LARGEST)


class RoundedActivation(nn.Module):
    """Activations rounded to the 256 values of a range that follows them while training. low, high: its buffers."""

    low: Tensor
    high: Tensor

    def __init__(self, start: Range, decay: float):
        super().__init__()
        self.decay = decay
        self.register_buffer("low", torch.tensor(float(start[0])))
        self.register_buffer("high", torch.tensor(float(start[1])))

    def forward(self, values: Tensor) -> Tensor:
        values = values.float()
        if self.training:
            low, high = torch.aminmax(values.detach())
            self.low.lerp_(low.clamp(max=0), 1 - self.decay)
            self.high.lerp_(high.clamp(min=0), 1 - self.decay)
        scale = ((self.high - self.low) / 255).clamp_min(torch.finfo(torch.float32).tiny)
        zero_point = (-self.low / scale).round().clamp(0, 255).int()
        return torch.fake_quantize_per_tensor_affine(values, scale, zero_point, 0, 255)


@contextmanager
def rounding(model: nn.Module, ranges: Mapping[str, Ranges], decay: float) -> Iterator[None]:
    """Round inputs, and outputs where they have a range, of the named layers while it lasts.

    The ranges are modules of the layer (`input_rounding`, `output_rounding`), so that checkpoints hold them.
    """
    handles = []
    for name, seen in ranges.items():
        layer = model.get_submodule(name)
        layer.add_module("input_rounding", RoundedActivation(seen.input, decay).train(layer.training))
        handles.append(layer.register_forward_pre_hook(_round_input))
        if seen.output is not None:
            layer.add_module("output_rounding", RoundedActivation(seen.output, decay).train(layer.training))
            handles.append(layer.register_forward_hook(_round_output))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for name in ranges:
            children = model.get_submodule(name)._modules
            children.pop("input_rounding")
            children.pop("output_rounding", None)


def _round_input(layer: nn.Module, given: tuple[Tensor, ...]) -> Any:
    return layer.get_submodule("input_rounding")(given[0])


def _round_output(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Any:
    return layer.get_submodule("output_rounding")(output)


def _trained_ranges(layer: nn.Module) -> Ranges:
    found = {side: layer._modules.get(f"{side}_rounding") for side in ("input", "output")}
    ends = {
        side: (float(seen.low), float(seen.high)) for side, seen in found.items() if isinstance(seen, RoundedActivation)
    }
    return Ranges(ends["input"], ends.get("output"))
