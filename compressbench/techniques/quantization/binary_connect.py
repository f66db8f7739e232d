"""Weights of two values, trained through latent ones (Courbariaux et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from torch import nn

from compressbench.core.context import Context
from compressbench.core.errors import suggestion
from compressbench.core.format import Binary
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent
from compressbench.techniques._layers import select
from compressbench.techniques.quantization._batch_norm_reestimation import measure_again
from compressbench.techniques.quantization._binary import Connect
from compressbench.techniques.quantization._clip import clipped
from compressbench.techniques.quantization._freeze import freeze

SCALES = ("one", "glorot")


@dataclass(frozen=True)
class BinaryConnect(Technique):
    """Train with weights +-H in the forward and backward pass; the update goes to latent weights, kept in [-H, H].

    Source: Courbariaux et al. 2015, "BinaryConnect". The network may be trained or fresh.

    stochastic: while training, +H with the probability (w / H + 1) / 2; otherwise, and always afterwards, the sign.
    scale: H: `one`, as in the paper, which needs batch normalisation after every layer; or `glorot`,
    sqrt(1.5 / (inputs + outputs)) of the layer, the other choice in the authors' code. The fields of `TrainingConfig`
    are the training. targets, ignore: what is binary, and what is not; biases and batch normalisation are not.

    We differ: after stochastic training the paper tests the latent weights, which are not binary; here their signs
    are what is left, and the running statistics of batch normalisation, which saw noise, are measured again for them.
    The authors' code scales learning rates by each layer's Glorot coefficient; ours are the same for all.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    stochastic: bool
    scale: str

    version = 2
    adds = frozenset({"trained", "quantized"})
    refuses = frozenset({"quantized", "sparse"})

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"scale is {self.scale!r}; {suggestion(self.scale, SCALES)}")

    def apply(self, subject: Subject, context: Context) -> Subject:
        layers = select(subject.model, self.targets, self.ignore)
        scales = {f"{name}.weight": self._scale(layer) for name, layer in layers.items()}
        functions = {name: Connect(scale, self.stochastic) for name, scale in scales.items()}
        with clipped(subject, scales), latent(subject, functions):
            subject = context.train(subject, self.training)
        for name in scales:
            freeze(subject, name, Binary())
        if self.stochastic:
            measure_again(subject, context, self.training.batch_size)
        return subject

    def _scale(self, layer: nn.Module) -> float:
        return 1.0 if self.scale == "one" else glorot(layer)


def glorot(layer: nn.Module) -> float:
    """Return sqrt(1.5 / (inputs + outputs)), counting each position of a kernel (Glorot and Bengio 2010)."""
    weight = layer.get_parameter("weight")
    positions = weight[0, 0].numel()
    return sqrt(1.5 / ((weight.shape[0] + weight.shape[1]) * positions))
