"""Activations at the levels that suit a Gaussian, with binary weights (Cai et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.format import Binary
from compressbench.core.subject import Subject
from compressbench.core.task import feed
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.layers.half_wave import BACKWARD, STEPS, HalfWaveActivation
from compressbench.techniques._latent import latent
from compressbench.techniques._layers import WEIGHTED, kind_of, select
from compressbench.techniques.quantization._binary import ScaledSign
from compressbench.techniques.quantization._clip import clipped
from compressbench.techniques.quantization._freeze import freeze
from compressbench.techniques.quantization._low_bits import relus, replace_relus

FIRST_BATCH = 128
"""Calibration examples that say how large the inputs of a ReLU without batch norm are."""
SMALLEST_SCALE = 1e-6


@dataclass(frozen=True)
class HalfWaveGaussianQuantization(Technique):
    """HWGQ: every ReLU becomes fixed levels that suit what batch norm lets through; weights are binary as in BWN.

    Source: Cai et al. 2017, "Deep Learning with Low Precision by Half-wave Gaussian Quantization", sections 3.2 and
    3.3; weights as in Rastegari et al. 2016 (see `bwn`). The network may be fresh or trained.

    activation_bits: 1 to 8; the levels are D, 2D ... (2^bits - 1) D for what is positive and 0 for the rest, D the best
    for a Gaussian of variance 1 (0.538 for 2 bits). backward: whose gradient goes back: `clipped` (the paper's best for
    AlexNet), `log_tailed`, or `relu`. training: how it is trained. targets, ignore: whose weights are binary; the paper
    leaves the first and the last layer as they are. Biases and batch normalisation keep 32 bits.

    We differ: the paper's networks have batch norm before every ReLU; where there is none between a ReLU and the layer
    before it, D is multiplied by the root mean square of its inputs on one batch of calibration examples.
    """

    training: TrainingConfig
    activation_bits: int
    backward: str
    targets: list[str]
    ignore: list[str]

    adds = frozenset({"trained", "quantized"})
    refuses = frozenset({"quantized", "sparse"})

    def __post_init__(self) -> None:
        if not 1 <= self.activation_bits <= len(STEPS):
            raise out_of_range("activation_bits", self.activation_bits, f"1 to {len(STEPS)}")
        if self.backward not in BACKWARD:
            raise ValueError(f"backward is {self.backward!r}; {suggestion(self.backward, BACKWARD)}")

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = [f"{name}.weight" for name in select(subject.model, self.targets, self.ignore)]
        scales = _scales(subject.model, context)
        replace_relus(subject, partial(HalfWaveActivation, self.activation_bits, self.backward))
        for name, scale in scales.items():
            activation = HalfWaveActivation(self.activation_bits, self.backward, scale)
            subject.replace_module(name, activation)
        with clipped(subject, dict.fromkeys(names, 1.0)), latent(subject, {name: ScaledSign() for name in names}):
            subject = context.train(subject, self.training)
        for name in names:
            freeze(subject, name, Binary())
        return subject


@torch.no_grad()
def _scales(model: nn.Module, context: Context) -> Mapping[str, float]:
    """Return the root mean square of the inputs of every ReLU that no batch norm stands before, by name.

    What stands before it is what ran since the last convolution or linear layer; one that never runs is left out.
    """
    found: dict[str, float] = {}
    wanted, normalized = set(relus(model)), [False]

    def see(name: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, _BatchNorm):
            normalized[0] = True
        elif kind_of(module) in WEIGHTED:
            normalized[0] = False
        elif name in wanted and not normalized[0] and isinstance(inputs[0], Tensor):
            found[name] = max(float(inputs[0].square().mean().sqrt()), SMALLEST_SCALE)

    leaves = ((name, module) for name, module in model.named_modules() if not list(module.children()))
    handles = [module.register_forward_pre_hook(partial(see, name)) for name, module in leaves]
    try:
        inputs, _ = next(iter(context.calibration(FIRST_BATCH, 1)))
        feed(model.eval(), inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found
