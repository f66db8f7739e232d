"""Evenly spaced weights, a scale for each bucket, trained straight through (Polino et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.layers.straight_through import straight_through
from compressbench.techniques._latent import latent
from compressbench.techniques._layers import select
from compressbench.techniques.quantization._grid import GridFields, check_grid, grid_of, quantized


@dataclass(frozen=True)
class QuantizedDistillation(Technique):
    """Train with weights rounded to 2^bits evenly spaced values between the ends of each bucket, straight through.

    Source: Polino et al. 2018, "Model compression via distillation and quantization", sections 2.1 (buckets) and 3
    (Algorithm 1). Gradients at the rounded weights move those of full precision. The paper's loss, of a teacher's
    softened outputs and the labels, is lent: `distill: {technique: distillation/kd, teacher: ...}`; without it this is
    its "quantized" baseline, trained by the labels.

    training: how it is trained. targets, ignore: what is quantized, and what is not; biases are not. bits: 2 to 8.
    group: the bucket, so many weights of a row, in the order of input channels, then kernel positions; 256 in the
    paper; 0 is the whole row. symmetric: integers around zero; the paper: not, from the least to the largest. range:
    `minmax`, the paper's, or `mse`, which tries parts of it for the least squared error.

    We differ: buckets do not reach over rows; zero is one of the values; scales are those of bfloat16; rounding is to
    the nearest, the deterministic one of the paper's two.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    bits: int
    group: int
    symmetric: bool
    range: str

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"quantized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})
    step: ClassVar[None] = None  # while they are trained, weights may outgrow a grid that cannot grow

    def __post_init__(self) -> None:
        check_grid(self)

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = [f"{name}.weight" for name in select(subject.model, self.targets, self.ignore)]
        with latent(subject, {name: Buckets(self) for name in names}):
            subject = context.train(subject, self.training)
        for name in names:
            quantized(subject, name, subject.model.get_parameter(name).detach(), self)
        return subject


class Buckets(nn.Module):
    """A layer's weights as the nearest values of the grid that they span, straight through."""

    def __init__(self, fields: GridFields):
        super().__init__()
        self.fields = fields

    def forward(self, latent: Tensor) -> Tensor:
        rows = latent.detach().flatten(1)
        return straight_through(latent, grid_of(rows, self.fields).rounded(rows).view_as(latent))
