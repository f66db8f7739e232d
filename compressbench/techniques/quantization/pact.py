"""Activations of few bits below a limit that is trained (Choi et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf

import torch
from torch import Tensor

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.layers.activations import SMALLEST_ALPHA, PactActivation
from compressbench.techniques._latent import latent
from compressbench.techniques.quantization._freeze import freeze
from compressbench.techniques.quantization._low_bits import (
    OFF,
    DorefaWeights,
    bits_by_weight,
    check_bits,
    format_of,
    relus,
    replace_relus,
)
from compressbench.techniques.quantization._observers import activation_ranges

BATCH_SIZE, BATCHES = 128, 8
"""How many calibration images set where the limits start."""


@dataclass(frozen=True)
class PactNetwork(Technique):
    """PACT: every ReLU becomes clip(x, 0, alpha) in 2^k - 1 steps with an alpha of its own, trained with the weights.

    Source: Choi et al. 2018, "PACT", section 3; weights as in DoReFa-Net (see `dorefa`, also for where we differ from
    it). The network may be fresh or trained. `weight_decay` is the paper's L2 penalty on alpha too.

    weight_bits, activation_bits: 1 to 8; 32 leaves the weights. alpha: where every alpha starts (10 in the paper).
    percentile: every alpha starts instead where this fraction of its ReLU's inputs lies below, on `BATCHES` batches of
    calibration images, to 1/2048 of their range and at least 0.001. alpha_lr: learning rate of the alphas, on which the
    schedule acts as on `lr`; None: `lr`, as in the paper. targets, ignore: whose weights get weight_bits. kept_bits:
    bits of the weights of the layers that are selected and then kept, the paper's first and last; 32 leaves them. The
    fields of `TrainingConfig` are the training.
    """

    training: TrainingConfig
    weight_bits: int
    activation_bits: int
    alpha: float
    targets: list[str]
    ignore: list[str]
    kept_bits: int
    percentile: float | None = None
    alpha_lr: float | None = None

    adds = frozenset({"trained", "quantized"})
    refuses = frozenset({"quantized", "sparse"})

    def __post_init__(self) -> None:
        check_bits(weight_bits=self.weight_bits, activation_bits=self.activation_bits, kept_bits=self.kept_bits)
        if self.activation_bits == OFF:
            raise out_of_range("activation_bits", self.activation_bits, "1 to 8")
        if not 0 < self.alpha < inf:
            raise out_of_range("alpha", self.alpha, "more than 0")
        if self.percentile is not None and not 0.5 < self.percentile <= 1:
            raise out_of_range("percentile", self.percentile, "more than 0.5 and at most 1, or null for alpha")
        if self.alpha_lr is not None and not 0 < self.alpha_lr < inf:
            raise out_of_range("alpha_lr", self.alpha_lr, "more than 0, or null for lr")

    def apply(self, subject: Subject, context: Context) -> Subject:
        bits = bits_by_weight(subject, self.targets, self.ignore, self.weight_bits, self.kept_bits)
        limits = {} if self.percentile is None else self._limits(subject, context, self.percentile)
        replace_relus(subject, self._activation)
        for name, limit in limits.items():
            torch.nn.init.constant_(subject.model.get_parameter(f"{name}.alpha"), limit)
        with latent(subject, {name: DorefaWeights(number) for name, number in bits.items()}):
            subject = context.train(subject, self._config())
        for name, number in bits.items():
            freeze(subject, name, format_of(number))
        return subject

    def _config(self) -> TrainingConfig:
        """Return the training, with the rate of the limits."""
        if self.alpha_lr is None:
            return self.training
        return replace(
            self.training, lr_factors={"*.alpha": self.alpha_lr / self.training.lr, **self.training.lr_factors}
        )

    def _limits(self, subject: Subject, context: Context, percentile: float) -> dict[str, float]:
        """Return the percentile of the inputs by name of the ReLU; one that never runs is left out, and starts at
        `alpha`."""

        def batches() -> Iterator[tuple[Inputs, Tensor]]:
            return context.calibration(BATCH_SIZE, BATCHES)

        ranges = activation_ranges(subject.model, relus(subject.model), batches, "percentile", percentile)
        return {name: max(seen.input[1], SMALLEST_ALPHA) for name, seen in ranges.items()}

    def _activation(self) -> PactActivation:
        made = PactActivation(self.activation_bits)
        torch.nn.init.constant_(made.alpha, self.alpha)
        return made
