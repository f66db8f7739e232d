"""A thin and deep student, led to its teacher's middle by hints (Romero et al. 2015)."""

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
from compressbench.techniques.distillation._features import Pair, both, check_features, drawn, pairs_of, seeing
from compressbench.techniques.distillation._softened import check_classes, check_temperature, check_weights


@dataclass(frozen=True)
class FitNets(Technique):
    """Train up to a guided layer until a regressor finds the teacher's hint in it; then train all by distillation.

    Source: Romero et al. 2015, "FitNets: Hints for Thin Deep Nets", sections 2.2 (distillation), 2.3 (hints, Eq. 3) and
    2.4 (the stages). The hints' loss is half the squared distance of the hint from a regressor of the guided layer: a
    convolution without padding whose kernel takes the student's map to the teacher's size (N_guided - N_hint + 1), or a
    linear layer between vectors. The second loss is L + lambda H(p, q), L that of `training` against the labels, H the
    cross-entropy of the softmaxes of teacher and student at the temperature; lambda goes linearly from `weight` to
    `final_weight`.

    teacher: the network it learns from; it has as many outputs. features, teacher_features: the guided layers and their
    hints, one of each in the paper, the middle of both networks; [] for the same names. temperature: more than 0.
    weight, final_weight: of the teacher's outputs at the beginning and at the end, 0 or more. hint_training: how the
    first stage trains; null leaves it out. training: how the second does; null only below `distill`.

    We differ: means, not sums, over a map's places and channels, so that the rate does not hang on its size. RMSProp is
    the paper's optimizer; here it is what the trainings say.
    """

    teacher: Source
    features: list[str]
    teacher_features: list[str]
    temperature: float
    weight: float
    final_weight: float
    hint_training: TrainingConfig | None
    training: TrainingConfig | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"int8"})

    def __post_init__(self) -> None:
        check_features(self)
        check_temperature(self.temperature)
        check_weights(weight=self.weight, final_weight=self.final_weight)

    def apply(self, subject: Subject, context: Context) -> Subject:
        return distilled(self, subject, context)

    def objective(self, subject: Subject, context: Context) -> Objective:
        """Train by the hints, if there is a training for them, in place.

        Raises ValueError if there is no such teacher, or a hint that no regressor can find.
        """
        teacher = context.subject_of(self.teacher).model
        if self.hint_training is not None:
            pairs = pairs_of(self, subject.model, teacher, context)
            regressors = drawn(lambda: nn.ModuleList(regressor(pair) for pair in pairs), context.generator)

            def hints(seen: Seen) -> Tensor:
                apart = [
                    functional.mse_loss(found(ours).float(), theirs) / 2
                    for found, (ours, theirs) in zip(regressors, both(seen, pairs), strict=True)
                ]
                return torch.stack(apart).sum()

            context.train(subject, self.hint_training, seeing(pairs, teacher, hints, regressors))
        return Objective(self.loss, teacher=teacher)

    def loss(self, seen: Seen) -> Tensor:
        """Return the second stage's loss of a batch."""
        ours: Tensor = seen.outputs
        theirs: Tensor = seen.teacher_outputs
        check_classes(ours, theirs)
        log_q, p = (ours / self.temperature).log_softmax(-1), (theirs / self.temperature).softmax(-1)
        weight = self.weight + (self.final_weight - self.weight) * seen.done
        return seen.task_loss() - weight * (p * log_q).sum(-1).mean()


def regressor(pair: Pair) -> nn.Module:
    """Return what takes the student's feature to the shape of the teacher's. ValueError if nothing can."""
    (ours, *size), (theirs, *other) = pair.shape, pair.teacher_shape
    if len(size) != len(other) or len(size) not in (0, 2) or any(_smaller(size, other)):
        what = "maps no smaller than the teacher's, or vectors of both"
        raise ValueError(f"{pair}; allowed: {what}")
    if not size:
        return nn.Linear(ours, theirs)
    height, width = (guided - hint + 1 for guided, hint in zip(size, other, strict=True))
    return nn.Conv2d(ours, theirs, (height, width))


def _smaller(size: Sequence[int], other: Sequence[int]) -> list[bool]:
    return [guided < hint for guided, hint in zip(size, other, strict=True)]
