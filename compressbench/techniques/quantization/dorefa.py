"""Weights, activations and gradients of few bits (Zhou et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.layers.activations import DorefaActivation
from compressbench.techniques._latent import latent
from compressbench.techniques._layers import select
from compressbench.techniques.quantization._freeze import freeze
from compressbench.techniques.quantization._low_bits import OFF, DorefaWeights, check_bits, format_of, replace_relus


@dataclass(frozen=True)
class DorefaNetwork(Technique):
    """DoReFa-Net: train with weights, activations and gradients rounded to a few bits.

    Source: Zhou et al. 2016, "DoReFa-Net", sections 2.3 to 2.6. The network may be fresh or trained.

    weight_bits: of the selected layers. activation_bits: every ReLU becomes q_k(clip(x, 0, 1)). gradient_bits: of what
    goes back through such an activation, with noise. Each 1 to 8, or 32 for none. The fields of `TrainingConfig` are
    the training. targets, ignore: whose weights; the paper leaves those of the first and the last layer as they are.

    We differ: the paper's weights of 2 and more bits reach from -1 to 1 whatever the latent ones are; ours are
    multiplied by max|tanh(w)|, which batch normalisation undoes and layers without it need.
    """

    training: TrainingConfig
    weight_bits: int
    activation_bits: int
    gradient_bits: int
    targets: list[str]
    ignore: list[str]

    adds = frozenset({"trained", "quantized"})
    refuses = frozenset({"quantized", "sparse"})

    def __post_init__(self) -> None:
        bits = {"weight_bits": self.weight_bits, "activation_bits": self.activation_bits}
        check_bits(**bits, gradient_bits=self.gradient_bits)
        if self.activation_bits == OFF and self.gradient_bits != OFF:
            raise ValueError(f"gradient_bits is {self.gradient_bits}, but activation_bits is {OFF}; only quantized "
                             "activations quantize gradients")  # fmt: skip

    def apply(self, subject: Subject, context: Context) -> Subject:
        selected = select(subject.model, self.targets, self.ignore)
        names = [f"{name}.weight" for name in selected if self.weight_bits != OFF]
        if self.activation_bits != OFF:
            replace_relus(subject, lambda: DorefaActivation(self.activation_bits, self.gradient_bits))
        with latent(subject, {name: DorefaWeights(self.weight_bits) for name in names}):
            subject = context.train(subject, self.training)
        for name in names:
            freeze(subject, name, format_of(self.weight_bits))
        return subject
