"""Binary weights with a scale for each filter (Rastegari et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass

from compressbench.core.context import Context
from compressbench.core.format import Binary
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent
from compressbench.techniques._layers import select
from compressbench.techniques.quantization._binary import ScaledSign
from compressbench.techniques.quantization._clip import clipped
from compressbench.techniques.quantization._freeze import freeze


@dataclass(frozen=True)
class BinaryWeightNetwork(Technique):
    """BWN: W is alpha sign(W), alpha = mean|W| of each filter: the best binary filter in the squared error.

    Source: Rastegari et al. 2016, "XNOR-Net", section 3.1. The gradient of a latent weight is
    g (1/n + alpha 1{|w| <= 1}), n the weights of a filter, and latent weights stay in [-1, 1].

    training: how it is trained. targets, ignore: what is binary, and what is not; the authors' code
    leaves the first and last layer as they are. Biases and batch normalisation are not binary.

    We differ: the authors' code also subtracts each filter's mean from its latent weights, and multiplies the
    gradient by n - n / channels; the paper prints neither.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]

    needs = frozenset({"trained"})
    adds = frozenset({"quantized"})
    refuses = frozenset({"quantized", "sparse"})

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = [f"{name}.weight" for name in select(subject.model, self.targets, self.ignore)]
        with clipped(subject, dict.fromkeys(names, 1.0)), latent(subject, {name: ScaledSign() for name in names}):
            subject = context.train(subject, self.training)
        for name in names:
            freeze(subject, name, Binary())
        return subject
