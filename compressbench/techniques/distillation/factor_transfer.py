"""The teacher's features are paraphrased, the student's translated (Kim et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.objective import Objective, Seen
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.distillation._distilled import distilled
from compressbench.techniques.distillation._features import (
    Pair,
    both,
    check_features,
    check_sizes,
    drawn,
    pairs_of,
    seeing,
)

SLOPE = 0.1
"""Of the leaky ReLUs, below zero (section 4)."""


@dataclass(frozen=True)
class FactorTransfer(Technique):
    """Train with the task's loss, plus beta times how far the student's factors are from the teacher's.

    Source: Kim et al. 2018, "Paraphrasing Complex Network: Network Compression via Factor Transfer", sections 3.1 (the
    paraphraser, Eq. 1), 3.2 (the translator) and 3.3 (Eq. 3 and 4). The paraphraser, three convolutions and three
    transposed ones of 3 x 3, is trained first, to give the teacher's maps again; its middle holds the teacher's
    factors, `rate` times as many maps. The translator, three convolutions, is learned with the student, whose factors
    it makes. Factors are compared divided by their L2 norms, by the mean of absolute differences.

    teacher: the network it learns from. features, teacher_features: modules of both that return maps of the same size,
    the ends of the last stages in the paper; [] for the same names. rate: k, more than 0. weight: beta, more than 0;
    500 in the authors' code. paraphraser_training: how the paraphraser is trained. training: how the student is; null
    only below `distill`.
    """

    teacher: Source
    features: list[str]
    teacher_features: list[str]
    rate: float
    weight: float
    paraphraser_training: TrainingConfig
    training: TrainingConfig | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"int8"})

    def __post_init__(self) -> None:
        check_features(self)
        for key in ("rate", "weight"):
            if not 0 < getattr(self, key) < inf:
                raise out_of_range(key, getattr(self, key), "more than 0")

    def apply(self, subject: Subject, context: Context) -> Subject:
        return distilled(self, subject, context)

    def objective(self, subject: Subject, context: Context) -> Objective:
        """Train the paraphraser on the teacher's maps.

        Raises ValueError if there is no such teacher, or no maps of one size.
        """
        teacher = context.subject_of(self.teacher).model
        pairs = pairs_of(self, subject.model, teacher, context)
        check_sizes(pairs)
        paraphrasers = drawn(lambda: nn.ModuleList(Paraphraser(pair, self.rate) for pair in pairs), context.generator)
        translators = drawn(lambda: nn.ModuleList(translator(pair, self.rate) for pair in pairs), context.generator)

        def reconstruction(seen: Seen) -> Tensor:
            maps = [theirs for _, theirs in both(seen, pairs)]
            apart = [functional.mse_loss(own(each).float(), each) for own, each in zip(paraphrasers, maps, strict=True)]
            return torch.stack(apart).sum()

        def loss(seen: Seen) -> Tensor:
            found = seen.task_loss()
            for own, other, (ours, theirs) in zip(translators, paraphrasers, both(seen, pairs), strict=True):
                assert isinstance(other, Paraphraser)
                found = found + self.weight * functional.l1_loss(normal(own(ours)), normal(other.factors(theirs)))
            return found

        still = subject.clone()  # goes along with the batches, so that the paraphraser learns as all else does
        still.model.requires_grad_(False)
        context.train(still, self.paraphraser_training, seeing(pairs, teacher, reconstruction, paraphrasers))
        paraphrasers.requires_grad_(False)
        learned = nn.ModuleList([translators, paraphrasers])
        return seeing(pairs, teacher, loss, learned)


class Paraphraser(nn.Module):
    """Gives a map again from fewer maps, its factors."""

    def __init__(self, pair: Pair, rate: float):
        super().__init__()
        maps, factors = pair.teacher_shape[0], _factors(pair, rate)
        self.factors = _layers(nn.Conv2d, [maps, maps, factors, factors])
        self.again = _layers(nn.ConvTranspose2d, [factors, factors, maps, maps])

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = self.again(self.factors(maps))
        return found


def translator(pair: Pair, rate: float) -> nn.Module:
    """Return what makes as many factors of the student's maps."""
    factors = _factors(pair, rate)
    return _layers(nn.Conv2d, [pair.shape[0], pair.shape[0], factors, factors])


def _factors(pair: Pair, rate: float) -> int:
    return max(1, round(rate * pair.teacher_shape[0]))


def _layers(kind: type[nn.Module], widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [kind(before, after, 3, padding=1), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


def normal(factors: Tensor) -> Tensor:
    """Return the factors of every example as a vector of length 1."""
    return functional.normalize(factors.float().flatten(1))
