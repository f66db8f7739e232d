"""What is alike to the teacher is alike to the student (Tung and Mori 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.objective import Objective, Seen
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.distillation._distilled import distilled
from compressbench.techniques.distillation._features import Pair, both, check_features, pairs_of, seeing


@dataclass(frozen=True)
class SimilarityPreserving(Technique):
    """Train with the task's loss, plus gamma / b^2 times the squared distance of the similarities within a batch of b.

    Source: Tung and Mori 2019, "Similarity-Preserving Knowledge Distillation", section 3, Eq. 1 to 4. The similarities
    are Q Q^T of a layer's features, a row an example, each row divided by its L2 norm; features of any shapes go
    together.

    training: how it is trained; null only below `distill`. teacher: the network it learns from. features,
    teacher_features: modules of both, such as the last convolutions; [] for the same names. weight: gamma, more than 0;
    the paper's is 3000.
    """

    teacher: Source
    features: list[str]
    teacher_features: list[str]
    weight: float
    training: TrainingConfig | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"int8"})

    def __post_init__(self) -> None:
        check_features(self)
        if not 0 < self.weight < inf:
            raise out_of_range("weight", self.weight, "more than 0")

    def apply(self, subject: Subject, context: Context) -> Subject:
        return distilled(self, subject, context)

    def objective(self, subject: Subject, context: Context) -> Objective:
        """Raises ValueError if there is no such teacher, or no such features."""
        teacher = context.subject_of(self.teacher).model
        pairs = pairs_of(self, subject.model, teacher, context)
        return seeing(pairs, teacher, partial(self.loss, pairs))

    def loss(self, pairs: Sequence[Pair], seen: Seen) -> Tensor:
        """Return the loss of a batch; the mean over its b x b similarities is the sum over b^2."""
        loss = seen.task_loss()
        for ours, theirs in both(seen, pairs):
            loss = loss + self.weight * functional.mse_loss(similarities(ours), similarities(theirs))
        return loss


def similarities(features: Tensor) -> Tensor:
    """Return the similarity of every example of a batch to every other, rows of length 1."""
    rows = features.flatten(1)
    return functional.normalize(rows @ rows.T)
