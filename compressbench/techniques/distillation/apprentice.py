"""A network of low precision learns from one of full precision (Mishra and Marr 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.objective import Objective, Seen
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.task import feed
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.distillation._distilled import distilled
from compressbench.techniques.distillation._softened import check_classes, check_weights


@dataclass(frozen=True)
class Apprentice(Technique):
    """Train with the loss alpha L(y, p_T) + beta L(y, p_A) + gamma H(p_T, p_A): T is the teacher, A the apprentice.

    Source: Mishra and Marr 2018, "Apprentice: Using Knowledge Distillation Techniques To Improve Low-Precision Network
    Accuracy", section 4, equation 1. L is the loss of the training against the labels, H the cross-entropy of softmaxes
    without a temperature. The low precision is that of the stage it is lent to: `{technique: quantization/twn, distill:
    {technique: distillation/apprentice, ...}}`, or `quantization/dorefa`, with `ignore: [first, last]` as in the paper.
    Its scheme A is `joint`, B a fresh network in such a stage, C one that a stage before has trained, at a small rate.

    training: how it is trained; null only below `distill`. teacher: the network of full precision, `{recipe: R, stage:
    S}`, an earlier `{stage: S}` of this run, or `{file: F}`; as many outputs. teacher_weight: alpha, which counts
    where the teacher is joint alone. label_weight: beta. output_weight: gamma; 1, 0.5 and 0.5 in the paper. joint: the
    teacher is trained along, and thrown away.

    We differ: the paper's weights beside ternary ones are WRPN's; ours are what the stage has. A joint teacher starts
    from the weights its stage has, and takes no gradient from H.
    """

    teacher: Source
    teacher_weight: float
    label_weight: float
    output_weight: float
    joint: bool
    training: TrainingConfig | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"int8"})

    def __post_init__(self) -> None:
        check_weights(
            teacher_weight=self.teacher_weight, label_weight=self.label_weight, output_weight=self.output_weight
        )

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError as `objective` does, or if the teacher's outputs are others than the apprentice's."""
        return distilled(self, subject, context)

    def objective(self, subject: Subject, context: Context) -> Objective:
        """Raises ValueError if there is no such teacher."""
        teacher = context.subject_of(self.teacher).model
        if not self.joint:
            return Objective(self.loss, teacher=teacher)
        return Objective(partial(self.joint_loss, teacher), learned=teacher)

    def loss(self, seen: Seen) -> Tensor:
        """Return the loss of a batch; the teacher's own is a constant, and left out."""
        return self.label_weight * seen.task_loss() + self.output_weight * cross_entropy(
            seen.teacher_outputs, seen.outputs
        )

    def joint_loss(self, teacher: nn.Module, seen: Seen) -> Tensor:
        """Return the loss of a batch with a teacher that is trained along."""
        theirs = feed(teacher, seen.inputs).float()
        own = self.label_weight * seen.task_loss() + self.output_weight * cross_entropy(theirs.detach(), seen.outputs)
        return self.teacher_weight * seen.task_loss(theirs) + own


def cross_entropy(theirs: Tensor, ours: Tensor) -> Tensor:
    """Return H of the softmaxes of two networks' logits, the mean over the batch."""
    check_classes(ours, theirs)
    return -(theirs.softmax(-1) * ours.log_softmax(-1)).sum(-1).mean()
