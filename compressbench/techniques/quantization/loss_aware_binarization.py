"""Weights of few values, nearest where the loss is curved (Hou et al. 2017, Hou and Kwok 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.format import Binary, Codebook
from compressbench.core.objective import Hook
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.layers.straight_through import straight_through
from compressbench.techniques._latent import latent, latent_name
from compressbench.techniques._layers import select
from compressbench.techniques.quantization._curved import SPACINGS, nearest
from compressbench.techniques.quantization._freeze import freeze

DECAY, EPSILON = 0.999, 1e-8
"""Of the second moments, as Adam has them."""


@dataclass(frozen=True)
class LossAwareBinarization(Technique):
    """LAB, LAT and LAQ: weights are a scale times +-1, or one of a few levels, nearest in the metric of the loss.

    Source: Hou et al. 2017, "Loss-aware Binarization of Deep Networks", section 3 and Algorithm 1. A proximal Newton
    step whose Hessian is the diagonal d of Adam's second moments, d = sqrt(v) + 1e-8: the forward pass sees the a b
    that minimises the sum of d (a b - w)^2 over a layer's latent weights w. For signs b that is a = sum d|w| / sum d.
    Hou and Kwok 2018, "Loss-aware Weight Quantization of Deep Networks", section 3: the same with b of {-1, 0, 1}
    (exactly, their LAT with one scale), and with more levels (by turns over a and b, their LAQ).

    training: how latent weights are trained; the papers use Adam. bits: 1 for signs, 2 for {-1, 0, 1}; of 3 to 8,
    k = 2^(bits - 1) - 1 levels on either side of zero. levels: `linear`, i / k; or `logarithmic`, 1, 1/2 ...
    1/2^(k - 1); of 3 bits or more. targets, ignore: whose weights; the papers quantize all. Biases and batch
    normalisation keep 32 bits. From 2 bits on zeros of a pruned network stay zeros.

    We differ: second moments are recorded beside the optimizer, so any will do; turns over a and b start anew in every
    pass, from the best of a few scales.
    """

    training: TrainingConfig
    bits: int
    levels: str
    targets: list[str]
    ignore: list[str]

    adds: ClassVar[frozenset[str]] = frozenset({"trained", "quantized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8:
            raise out_of_range("bits", self.bits, "1 to 8")
        if self.levels not in SPACINGS:
            raise ValueError(f"levels is {self.levels!r}; {suggestion(self.levels, SPACINGS)}")

    def fault_after(self, earlier: Sequence[Technique]) -> str | None:
        if self.bits == 1 and any("sparse" in each.adds for each in earlier):
            return "with 1 bit cannot take a network with zeroed weights; 2 bits have a zero"
        return None

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = [f"{name}.weight" for name in select(subject.model, self.targets, self.ignore)]
        functions = {name: CurvedLevels(subject.model.get_parameter(name), self.bits, self.levels) for name in names}
        hook = Hook(after_backward=partial(_record, {latent_name(name): each for name, each in functions.items()}))
        with latent(subject, functions):
            subject = context.train(subject, self.training, hooks=[hook])
        for name in names:
            freeze(subject, name, Binary() if self.bits == 1 else Codebook(self.bits))
        return subject


class CurvedLevels(nn.Module):
    """The level nearest to each latent weight, in the metric of `moments`, which `record` brings up to date.

    moments: mean squares of the gradients, as Adam has them without its correction for the start, which no scale of
    theirs changes; zeros before the first step, where all weights count alike.
    """

    moments: Tensor

    def __init__(self, weight: Tensor, bits: int, spacing: str):
        super().__init__()
        self.bits, self.spacing = bits, spacing
        self.register_buffer("moments", torch.zeros_like(weight, requires_grad=False))

    def forward(self, latent: Tensor) -> Tensor:
        curvature = self.moments.sqrt() + EPSILON
        return straight_through(latent, nearest(latent.detach(), curvature, self.bits, self.spacing))

    def record(self, gradient: Tensor) -> None:
        self.moments.mul_(DECAY).addcmul_(gradient, gradient, value=1 - DECAY)


@torch.no_grad()
def _record(functions: dict[str, CurvedLevels], model: nn.Module) -> None:
    for name, function in functions.items():
        gradient = model.get_parameter(name).grad
        if gradient is not None:
            function.record(gradient)
