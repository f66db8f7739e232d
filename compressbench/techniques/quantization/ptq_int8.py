"""Int8 weights and activations without training (Jacob et al. 2018, section 2; Krishnamoorthi 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques.quantization._int8 import calibrated, check_calibration, to_int8


@dataclass(frozen=True)
class PostTrainingInt8(Technique):
    """Put layers that compute with integers in the place of convolutions and linear layers.

    Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference", section 2; a scale for each output channel as in Krishnamoorthi 2018. Weights are symmetric: level =
    round(w / s), s = max |w| / 127 of the channel. Inputs are uint8 with a zero point, so that zero is exact.

    targets, ignore: what is converted, and what is not. range: of the inputs, seen on calibration images: all of it
    (`minmax`), without the values outside `percentile` at either end, or with the least squared error (`mse`).
    calibration_batch_size, calibration_batches: how many training images are looked at.

    Batch norm is not folded here; one that follows a convolution stays as it is and costs time: fold it before
    (`coding/fold_batch_norm`). We differ: biases stay fp32, and rounding happens at the input of each layer.
    """

    targets: list[str]
    ignore: list[str]
    range: str
    percentile: float
    calibration_batch_size: int
    calibration_batches: int

    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"int8", "quantized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_calibration(self)

    def apply(self, subject: Subject, context: Context) -> Subject:
        return to_int8(subject, calibrated(self, subject, context))
