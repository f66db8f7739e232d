"""A student regresses its teacher's logits (Ba and Caruana 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.objective import Objective, Seen
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.distillation._distilled import distilled
from compressbench.techniques.distillation._softened import check_classes


@dataclass(frozen=True)
class LogitDistillation(Technique):
    """Train with the loss w/2 ||z - v||^2 + (1 - w) L, z and v the student's and the teacher's logits of an example.

    Source: Ba and Caruana 2014, "Do Deep Nets Really Need to be Deep?", section 2, the L2 loss on logits. Without
    labels (w = 1) as in the paper; L, the loss of `training` against the labels, is an option of ours.

    training: how it is trained; null only below `distill`. teacher: the network it learns from; it has as many outputs.
    weight: w, 0 to 1.

    We differ: the paper may subtract each logit's mean over the training set and divide by its standard deviation,
    which it finds to help a little and not to be crucial.
    """

    teacher: Source
    weight: float
    training: TrainingConfig | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"int8"})

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise out_of_range("weight", self.weight, "0 to 1")

    def apply(self, subject: Subject, context: Context) -> Subject:
        return distilled(self, subject, context)

    def objective(self, subject: Subject, context: Context) -> Objective:
        """Raises ValueError if there is no such teacher."""
        return Objective(self.loss, teacher=context.subject_of(self.teacher).model)

    def loss(self, seen: Seen) -> Tensor:
        """Return the loss of a batch: the mean over its examples."""
        ours: Tensor = seen.outputs
        theirs: Tensor = seen.teacher_outputs
        check_classes(ours, theirs)
        apart = (ours - theirs).square().sum(-1).mean() / 2
        return self.weight * apart + (1 - self.weight) * seen.task_loss()
