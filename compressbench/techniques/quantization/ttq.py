"""Ternary weights with two trained scales a layer (Zhu et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.format import Codebook
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent
from compressbench.techniques._layers import select
from compressbench.techniques.quantization._freeze import freeze
from compressbench.techniques.quantization._ternary import TrainedTernary


@dataclass(frozen=True)
class TrainedTernaryQuantization(Technique):
    """TTQ: a layer's weights are W_p, 0 or -W_n, by a threshold on its latent weights; W_p and W_n are trained.

    Source: Zhu et al. 2017, "Trained Ternary Quantization", section 3.

    threshold: t; weights with |w| at most t max|w| of the layer become 0. The fields of `TrainingConfig` are the
    training. targets, ignore: what is ternary, and what is not; the paper leaves the first and last layer as they are.
    Biases and batch normalisation are not ternary. Zeros of a pruned network stay zeros.

    We differ: equation 7 prints the gradient of W_n without the minus that -W_n gives it, which we put there; latent
    weights are not divided by the layer's largest; W_p and W_n start from the mean magnitudes of the weights they
    stand for.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    threshold: float

    needs = frozenset({"trained"})
    adds = frozenset({"quantized"})
    refuses = frozenset({"quantized"})

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise out_of_range("threshold", self.threshold, "0 or more and less than 1")

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = [f"{name}.weight" for name in select(subject.model, self.targets, self.ignore)]
        functions = {name: TrainedTernary(subject.model.get_parameter(name), self.threshold) for name in names}
        with latent(subject, functions):
            subject = context.train(subject, self.training)
        for name in names:
            freeze(subject, name, Codebook(2))
        return subject
