"""The geometry of a batch, not each example, is what the student learns (Park et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from compressbench.core.context import Context
from compressbench.core.objective import Objective, Seen
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.distillation._distilled import distilled
from compressbench.techniques.distillation._features import Pair, both, check_features, pairs_of, seeing
from compressbench.techniques.distillation._softened import check_weights


@dataclass(frozen=True)
class RelationalDistillation(Technique):
    """Train with the task's loss, plus losses on the distances and the angles between the features of a batch.

    Source: Park et al. 2019, "Relational Knowledge Distillation", sections 3.2.1 (distances, divided by their mean over
    the batch) and 3.2.2 (the cosine of the angle that two examples have seen from a third), Huber losses on each. It
    wants features that are vectors, such as what the last layer is given; maps are taken as one vector each.

    training: how it is trained; null only below `distill`. teacher: the network it learns from. features,
    teacher_features: modules of both; [] for the same names. distance_weight, angle_weight: what the two losses are
    multiplied by, 0 or more, not both 0; the paper's are 25 and 50 for classification. Of a batch of b examples the
    angles are b^3 numbers.

    We differ: means over pairs and triples, as in the authors' code, where the paper writes sums.
    """

    teacher: Source
    features: list[str]
    teacher_features: list[str]
    distance_weight: float
    angle_weight: float
    training: TrainingConfig | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"int8"})

    def __post_init__(self) -> None:
        check_features(self)
        check_weights(distance_weight=self.distance_weight, angle_weight=self.angle_weight)
        if not self.distance_weight and not self.angle_weight:
            raise ValueError("distance_weight and angle_weight are 0; allowed: more than 0 for one of them")

    def apply(self, subject: Subject, context: Context) -> Subject:
        return distilled(self, subject, context)

    def objective(self, subject: Subject, context: Context) -> Objective:
        """Raises ValueError if there is no such teacher, or no such features."""
        teacher = context.subject_of(self.teacher).model
        pairs = pairs_of(self, subject.model, teacher, context)
        return seeing(pairs, teacher, partial(self.loss, pairs))

    def loss(self, pairs: Sequence[Pair], seen: Seen) -> Tensor:
        """Return the loss of a batch."""
        loss = seen.task_loss()
        for ours, theirs in both(seen, pairs):
            if self.distance_weight:
                loss = loss + self.distance_weight * functional.smooth_l1_loss(distances(ours), distances(theirs))
            if self.angle_weight:
                loss = loss + self.angle_weight * functional.smooth_l1_loss(angles(ours), angles(theirs))
        return loss


def distances(features: Tensor) -> Tensor:
    """Return how far every example of a batch is from every other; those that differ are 1 apart on average."""
    rows = features.flatten(1)
    found = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
    apart = found > 0
    mean: Tensor = (found * apart).sum() / apart.sum().clamp(min=1)
    return found / mean.clamp(min=torch.finfo(mean.dtype).tiny)


def angles(features: Tensor) -> Tensor:
    """Return the cosine of the angle between j and k as i sees them, of all examples i, j and k of a batch."""
    rows = features.flatten(1)
    towards = functional.normalize(rows[None] - rows[:, None], dim=2)
    return towards @ towards.transpose(1, 2)
