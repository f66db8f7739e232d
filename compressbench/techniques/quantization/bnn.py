"""Binary weights and activations (Hubara et al. 2016)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.format import Binary
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent
from compressbench.techniques.quantization._binary import Connect
from compressbench.techniques.quantization._binary_inputs import binarize_inputs
from compressbench.techniques.quantization._clip import clipped
from compressbench.techniques.quantization._freeze import freeze
from compressbench.techniques.quantization._pools import move_pools

LATENT_RANGES = ("one", "glorot")


@dataclass(frozen=True)
class BinarizedNeuralNetwork(Technique):
    """BNN: the weights of every layer are +-1, and so is the input of every layer but the first.

    Source: Hubara et al. 2016, "Binarized Neural Networks". Latent weights stay in a range and get the gradient of
    their signs; the gradient of an activation's sign is 1{|a| <= 1}. The network may be fresh or trained; trained
    weights are where the latent ones start. Batch normalisation and biases stay 32-bit.

    training: how it is trained; `loss: hinge` or `squared_hinge` are the paper's alternatives.
    targets, ignore: what becomes binary, and what does not (the paper: everything does). latent_mean: the mean absolute
    value that each layer's latent weights are scaled to before training, at most 1; null leaves them. Their signs stay;
    next to the learning rate, which says how fast they flip, trained weights are too small. latent_range: where the
    latent weights are clipped: `one` is [-1, 1], the paper's; `glorot` is +- sqrt(1.5 / (fan in + fan out)) of each
    layer, which under Adam moves the signs as the authors' code does: there the range is 1 and each layer's learning
    rate is divided by that bound. pool_first: the network is built again with batch norm, and pools in front of it, as
    in the paper, if it can be; pools behind it would pool signs.

    We differ: a layer without batch norm behind it gets one inside, as the last one has in the paper; dropout in front
    of signs goes; the learning rate is the same for all layers, so the authors' rates by layer are to be had
    with `glorot` only.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    latent_mean: float | None
    pool_first: bool
    latent_range: str = "one"

    adds = frozenset({"trained", "quantized"})
    refuses = frozenset({"quantized", "sparse"})

    def __post_init__(self) -> None:
        if self.latent_mean is not None and not 0 < self.latent_mean <= 1:
            raise out_of_range("latent_mean", self.latent_mean, "more than 0 and at most 1, or null")
        if self.latent_range not in LATENT_RANGES:
            raise ValueError(f"latent_range is {self.latent_range!r}; {suggestion(self.latent_range, LATENT_RANGES)}")

    def apply(self, subject: Subject, context: Context) -> Subject:
        if self.pool_first:
            subject = move_pools(subject)
        names = binarize_inputs(subject, context, self.targets, self.ignore)
        if self.latent_mean is not None:
            for name in names:
                _scale(subject.model.get_parameter(name), self.latent_mean)
        functions = {name: Connect(scale=1.0, stochastic=False) for name in names}
        limits = {name: self._limit(subject.model.get_parameter(name)) for name in names}
        with clipped(subject, limits), latent(subject, functions):
            subject = context.train(subject, self.training)
        for name in names:
            freeze(subject, name, Binary())
        return subject

    def _limit(self, weight: nn.Parameter) -> float:
        """Return the bound of a layer's latent weights."""
        return 1.0 if self.latent_range == "one" else glorot_bound(weight)


def glorot_bound(weight: Tensor) -> float:
    """Return sqrt(1.5 / (fan in + fan out)) of a weight (out, in, ...): the bound of the authors' first weights.

    Glorot and Bengio 2010 have sqrt(6 / (fan in + fan out)); the authors' code (BinaryNet) has half of that.
    """
    positions = weight[0, 0].numel()
    return math.sqrt(1.5 / ((weight.shape[0] + weight.shape[1]) * positions))


@torch.no_grad()
def _scale(weight: nn.Parameter, mean: float) -> None:
    """Give a weight this mean absolute value, in place."""
    weight.mul_(mean / weight.abs().mean().clamp_min(torch.finfo(weight.dtype).tiny))
