"""A student learns from a teacher's softened outputs (Hinton et al. 2015)."""

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
from compressbench.techniques.distillation._softened import check_temperature, divergence


@dataclass(frozen=True)
class KnowledgeDistillation(Technique):
    """Train with the loss w T^2 KL(p || q) + (1 - w) L, p and q the teacher's and the student's softmax of logits / T.

    Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2. T^2 keeps the size of the
    gradients when T changes. L is the loss of `training`, against the labels. The network may be fresh or trained.

    training: how it is trained; null only below `distill`. teacher: the network it learns from, `{recipe: R, stage:
    S}`, an earlier `{stage: S}` of this run, or `{file: F}`; it has as many outputs. temperature: T. weight: w, 0 to 1;
    0 is training without a teacher.

    We differ: the paper weighs the loss against the labels "considerably lower" without a number; 0.1 is ours.
    """

    teacher: Source
    temperature: float
    weight: float
    training: TrainingConfig | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"int8"})

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        if not 0 <= self.weight <= 1:
            raise out_of_range("weight", self.weight, "0 to 1")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError if there is no such teacher, or its outputs are others than the student's."""
        return distilled(self, subject, context)

    def objective(self, subject: Subject, context: Context) -> Objective:
        """Raises ValueError if there is no such teacher."""
        return Objective(self.loss, teacher=context.subject_of(self.teacher).model)

    def loss(self, seen: Seen) -> Tensor:
        """Return the loss of a batch."""
        apart = divergence(seen.outputs, seen.teacher_outputs, self.temperature)
        return self.weight * self.temperature**2 * apart + (1 - self.weight) * seen.task_loss()
