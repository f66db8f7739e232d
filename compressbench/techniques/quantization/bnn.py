"""Binary weights and activations (Hubara et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from compressbench.core.context import Context
from compressbench.core.faults import out_of_range
from compressbench.core.format import Binary
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import Training
from compressbench.techniques._latent import latent
from compressbench.techniques.quantization._binary import Connect
from compressbench.techniques.quantization._binary_inputs import binarize_inputs
from compressbench.techniques.quantization._clip import clipped
from compressbench.techniques.quantization._freeze import freeze
from compressbench.techniques.quantization._pools import move_pools


@dataclass(frozen=True, kw_only=True)
class BinarizedNeuralNetwork(Training, Technique):
    """BNN: the weights of every layer are +-1, and so is the input of every layer but the first.

    Source: Hubara et al. 2016, "Binarized Neural Networks". Latent weights stay in [-1, 1] and get the gradient of
    their signs; the gradient of an activation's sign is 1{|a| <= 1}. The network may be fresh or trained; trained
    weights are where the latent ones start. Batch normalisation and biases stay 32-bit.

    The fields of `Training` are the training; `loss: hinge` or `squared_hinge` are the paper's alternatives. layers,
    keep: what becomes binary, and what does not (the paper: everything does). latent_mean: the mean absolute value that
    each layer's latent weights are scaled to before training, at most 1; null leaves them. Their signs stay; next to
    the learning rate, which says how fast they flip, trained weights are too small. pool_first: the network is built
    again with batch norm, and pools in front of it, as in the paper, if it can be; pools behind it would pool signs.

    We differ: a layer without batch norm behind it gets one inside, as the last one has in the paper; dropout in front
    of signs goes; the learning rate is the same for all layers.
    """

    layers: list[str]
    keep: list[str]
    latent_mean: float | None
    pool_first: bool

    adds = frozenset({"trained", "quantized"})
    refuses = frozenset({"quantized", "sparse"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.latent_mean is not None and not 0 < self.latent_mean <= 1:
            raise out_of_range("latent_mean", self.latent_mean, "more than 0 and at most 1, or null")

    def apply(self, subject: Subject, context: Context) -> Subject:
        if self.pool_first:
            subject = move_pools(subject)
        names = binarize_inputs(subject, context, self.layers, self.keep)
        if self.latent_mean is not None:
            for name in names:
                _scale(subject.model.get_parameter(name), self.latent_mean)
        functions = {name: Connect(scale=1.0, stochastic=False) for name in names}
        with clipped(subject, dict.fromkeys(names, 1.0)), latent(subject, functions):
            subject = context.train(subject, self)
        for name in names:
            freeze(subject, name, Binary())
        return subject


@torch.no_grad()
def _scale(weight: nn.Parameter, mean: float) -> None:
    """Give a weight this mean absolute value, in place."""
    weight.mul_(mean / weight.abs().mean().clamp_min(torch.finfo(weight.dtype).tiny))
