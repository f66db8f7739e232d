"""Ternary weights with one scale a layer (Li et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.format import Codebook
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent
from compressbench.techniques._layers import select
from compressbench.techniques.quantization._freeze import freeze
from compressbench.techniques.quantization._ternary import Ternary


@dataclass(frozen=True)
class TernaryWeightNetwork(Technique):
    """TWN: weights above a threshold become plus or minus the mean of those, the others 0; straight through.

    Source: Li et al. 2016, "Ternary Weight Networks", section 2.

    threshold_factor: the threshold over the layer's mean|w|; 0.7 is near the best for weights that are normally or
    uniformly distributed. training: how it is trained. targets, ignore: what is ternary, and what
    is not; biases and batch normalisation are not. Zeros of a pruned network stay zeros, and count in its mean|w|.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    threshold_factor: float

    needs = frozenset({"trained"})
    adds = frozenset({"quantized"})
    refuses = frozenset({"quantized"})

    def __post_init__(self) -> None:
        if not 0 < self.threshold_factor < inf:
            raise out_of_range("threshold_factor", self.threshold_factor, "more than 0")

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = [f"{name}.weight" for name in select(subject.model, self.targets, self.ignore)]
        with latent(subject, {name: Ternary(self.threshold_factor) for name in names}):
            subject = context.train(subject, self.training)
        for name in names:
            freeze(subject, name, Codebook(2))
        return subject
