"""Weights, and activations, as integers times a step that is trained (Esser et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.format import Uniform
from compressbench.core.subject import Subject
from compressbench.core.task import feed
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.layers.learned_step import SMALLEST_STEP, LearnedStepActivation, first_step, stepped
from compressbench.layers.straight_through import straight_through
from compressbench.techniques._latent import latent
from compressbench.techniques.quantization._freeze import freeze
from compressbench.techniques.quantization._low_bits import OFF, bits_by_weight, check_bits, relus, replace_relus

FIRST_BATCH = 128
"""Calibration examples that steps of activations start from."""
DIGITS = 16
"""Significant binary digits of a weight's step, so that an integer of up to 8 bits times it is exact."""


@dataclass(frozen=True)
class LearnedStepQuantization(Technique):
    """LSQ: a layer's weights are integers of a few bits times one step, which is trained with them.

    Source: Esser et al. 2020, "Learned Step Size Quantization", sections 2.1 and 2.2. The gradient of a step s is
    -v/s + round(v/s) where v is inside the range and the limit where it is outside, times 1 / sqrt(N Q), N the layer's
    weights (or an activation's features) and Q the largest integer; s starts at 2 mean|v| / sqrt(Q).

    weight_bits: of the selected layers, integers -2^(b-1) to 2^(b-1) - 1. activation_bits: every ReLU's results become
    integers 0 to 2^b - 1 times a step of their own, which starts from one batch of calibration examples. kept_bits: of
    the weights of layers that targets name and ignore keeps; the paper has 8 for the first and the last layer. Each 2
    to 8, or 32 for none. training: how weights and steps are trained together; the paper: momentum 0.9 and a cosine
    from a tenth of the rate that the network was trained with. targets, ignore: whose weights get weight_bits. Biases
    and batch normalisation keep 32 bits; zeros of a pruned network stay zeros.

    We differ: activations are quantized where a ReLU makes them, so the network's input is not; a weight's step counts
    as rounded to 16 binary digits, so that the file says each weight exactly.
    """

    training: TrainingConfig
    weight_bits: int
    activation_bits: int
    targets: list[str]
    ignore: list[str]
    kept_bits: int

    needs = frozenset({"trained"})
    adds = frozenset({"quantized"})
    refuses = frozenset({"quantized"})

    def __post_init__(self) -> None:
        bits = {"weight_bits": self.weight_bits, "activation_bits": self.activation_bits, "kept_bits": self.kept_bits}
        for key, value in bits.items():
            if value == 1:
                raise out_of_range(key, value, f"2 to 8, or {OFF} for none quantized; quantization/bwn has 1 bit")
        check_bits(**bits)
        if {self.weight_bits, self.activation_bits, self.kept_bits} == {OFF}:
            raise ValueError(f"weight_bits, activation_bits and kept_bits are {OFF}, so nothing would be quantized")

    def apply(self, subject: Subject, context: Context) -> Subject:
        bits = bits_by_weight(subject, self.targets, self.ignore, self.weight_bits, self.kept_bits)
        if self.activation_bits != OFF:
            means = _means_of_relus(subject.model, context)
            replace_relus(subject, partial(LearnedStepActivation, self.activation_bits))
            for name, mean in means.items():
                step = subject.model.get_parameter(f"{name}.step")
                nn.init.constant_(step, first_step(mean, 2**self.activation_bits - 1))
        weights = {name: subject.model.get_parameter(name) for name in bits}
        with latent(subject, {name: LearnedStep(weights[name], number) for name, number in bits.items()}):
            subject = context.train(subject, self.training)
        for name, number in bits.items():
            freeze(subject, name, Uniform(number))
        return subject


class LearnedStep(nn.Module):
    """A layer's weights as integers -2^(bits-1) to 2^(bits-1) - 1 times `step`, which is trained."""

    def __init__(self, weight: Tensor, bits: int):
        super().__init__()
        self.bits = bits
        mean = float(weight.detach().abs().mean()) if weight.numel() else 0.0
        self.step = nn.Parameter(weight.new_tensor(first_step(mean, 2 ** (bits - 1) - 1)))

    def forward(self, latent: Tensor) -> Tensor:
        limit = 2 ** (self.bits - 1)
        step = self.step.clamp_min(SMALLEST_STEP)
        return stepped(latent, straight_through(step, _short(step)), -limit, limit - 1, latent.numel())


def _short(step: Tensor) -> Tensor:
    """Return a number rounded to `DIGITS` significant binary digits."""
    mantissa, exponent = torch.frexp(step.detach())
    return torch.ldexp((mantissa * 2**DIGITS).round(), exponent - DIGITS)


@torch.no_grad()
def _means_of_relus(model: nn.Module, context: Context) -> Mapping[str, float]:
    """Return the mean of what each ReLU lets through of a batch, by name; one that never runs is left out."""
    found: dict[str, float] = {}

    def see(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        found[name] = float(output.mean())

    handles = [model.get_submodule(name).register_forward_hook(partial(see, name)) for name in relus(model)]
    try:
        inputs, _ = next(iter(context.calibration(FIRST_BATCH, 1)))
        feed(model.eval(), inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found
