"""How features flow from layer to layer is what is taught (Yim et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.context import Context
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
    check_maps,
    drawn,
    pairs_of,
    seeing,
)
from compressbench.techniques.distillation._softened import check_weights


@dataclass(frozen=True)
class FlowDistillation(Technique):
    """Train until the student's FSP matrices are the teacher's, then by the task's loss.

    Source: Yim et al. 2017, "A Gift from Knowledge Distillation: Fast Optimization, Network Minimization and Transfer
    Learning", sections 3.2 (the FSP matrix, Eq. 1), 3.3 (the loss, Eq. 2) and 3.4 (the two stages). An FSP matrix holds
    the mean over the places of the products of every channel of a first layer with every channel of a second one; where
    their maps differ in size, the larger is max-pooled to the smaller.

    teacher: the network it learns from. features, teacher_features: first and second layers in turn ([conv1, conv3] is
    one matrix, [a, b, c, d] are two), which return maps; [] for the same names. fsp_training: how the first stage
    trains; null leaves it out. weight: of the FSP loss in the second, 0 or more; 0 is the paper's. project: layers of
    other widths than the teacher's go through 1 x 1 convolutions, learned and thrown away, of ours; the paper's
    students are as wide as their teachers. training: how the second stage trains; null only below `distill`.

    We differ: the mean, not the sum, over a matrix's entries, so that the loss does not hang on the widths.
    """

    teacher: Source
    features: list[str]
    teacher_features: list[str]
    fsp_training: TrainingConfig | None
    weight: float
    project: bool
    training: TrainingConfig | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"int8"})

    def __post_init__(self) -> None:
        check_features(self)
        if len(self.features) % 2:
            raise ValueError(f"features is {self.features}; allowed: first and second layers in turn, an even number")
        check_weights(weight=self.weight)
        if self.fsp_training is None and not self.weight:
            raise ValueError("weight is 0 and fsp_training is null; allowed: one of the two")

    def apply(self, subject: Subject, context: Context) -> Subject:
        return distilled(self, subject, context)

    def objective(self, subject: Subject, context: Context) -> Objective:
        """Train by the FSP matrices alone, if there is a training for that, in place.

        Raises ValueError if there is no such teacher, or no matrices of the same shape.
        """
        teacher = context.subject_of(self.teacher).model
        pairs = pairs_of(self, subject.model, teacher, context)
        check_maps(pairs)
        projections = drawn(lambda: nn.ModuleList(self._projection(pair) for pair in pairs), context.generator)

        def apart(seen: Seen) -> Tensor:
            shown = zip(projections, both(seen, pairs), strict=True)
            return fsp_loss([(own(ours).float(), theirs) for own, (ours, theirs) in shown])

        def loss(seen: Seen) -> Tensor:
            return seen.task_loss() + self.weight * apart(seen) if self.weight else seen.task_loss()

        if self.fsp_training is not None:
            context.train(subject, self.fsp_training, seeing(pairs, teacher, apart, projections))
        return seeing(pairs, teacher, loss, projections) if self.weight else Objective(loss)

    def _projection(self, pair: Pair) -> nn.Module:
        ours, theirs = pair.shape[0], pair.teacher_shape[0]
        if ours == theirs:
            return nn.Identity()
        if not self.project:
            raise ValueError(f"{pair}; allowed: as many channels, or project=true")
        return nn.Conv2d(ours, theirs, 1, bias=False)


def fsp_loss(maps: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return how far the FSP matrices of both networks are apart. maps: the student's and the teacher's, first and
    second layers in turn."""
    matrices = [
        [fsp_matrix(first, second) for first, second in zip(one, other, strict=True)]
        for one, other in zip(maps[::2], maps[1::2], strict=True)
    ]
    return torch.stack([(ours - theirs).square().mean() for ours, theirs in matrices]).sum()


def fsp_matrix(first: Tensor, second: Tensor) -> Tensor:
    """Return the FSP matrix of every example: (n, channels of the first, channels of the second)."""
    size = [min(sides) for sides in zip(first.shape[2:], second.shape[2:], strict=True)]
    first, second = (functional.adaptive_max_pool2d(each, size).flatten(2) for each in (first, second))
    return first @ second.transpose(1, 2) / first.shape[2]
