"""Weights as integers of few bits times a scale, rounded to the nearest: what every other rounding is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import SINGLE, select, weights_of
from compressbench.techniques.quantization._grid import check_grid, grid_of, quantized


@dataclass(frozen=True)
class RoundToNearestQuantization(Technique):
    """Round each weight to the nearest of 2^bits evenly spaced values; activations stay as they are.

    Source: Yao et al. 2022, "ZeroQuant: Efficient and Affordable Post-Training Quantization for Large-Scale
    Transformers", section 4.1, for groups; rows (output channels) as in Krishnamoorthi 2018, "Quantizing deep
    convolutional networks for efficient inference", section 3. Neither data nor training.

    targets, ignore: what is quantized, and what is not; beside convolutions and linear layers also `rnn`, `attention`
    and `embedding`. Biases are not. bits: 2 to 8. group: columns of a row with a scale of their own, in the order of
    input channels, then kernel positions; 0 is the whole row. symmetric: integers around zero; if not, each scale has a
    zero point, an integer of `bits` bits. range: `minmax` reaches to the largest weight, `mse` as far as makes the sum
    of squared errors least, of 80 parts of that range. step: one scale for all weights of all layers, in the place of
    group and range; the larger, the smaller the file after entropy coding, as in the quantization of neural network
    coding (ISO/IEC 15938-17); `bits` is then only how far the integers reach.

    We differ: scales are rounded to bfloat16. Weights that are zero stay so.
    """

    targets: list[str]
    ignore: list[str]
    bits: int
    group: int
    symmetric: bool
    range: str
    step: float | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"quantized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_grid(self)

    def apply(self, subject: Subject, context: Context) -> Subject:
        for parameter in weights_of(subject.model, select(subject.model, self.targets, self.ignore, SINGLE)):
            weights = subject.model.get_parameter(parameter).detach().flatten(1)
            quantized(subject, parameter, grid_of(weights, self).rounded(weights), self)
        return subject
