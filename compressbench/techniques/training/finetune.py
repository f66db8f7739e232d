"""Further training of a trained network, usually after pruning."""

from __future__ import annotations

from dataclasses import dataclass

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig


@dataclass(frozen=True)
class Finetune(Technique):
    """Train on from the weights there are (Li et al. 2017: 40 epochs, learning rate 0.001).

    Masks and other promises are kept after every step.
    """

    training: TrainingConfig

    needs = frozenset({"trained"})
    adds = frozenset({"retrained"})
    refuses = frozenset({"int8"})

    def apply(self, subject: Subject, context: Context) -> Subject:
        return context.train(subject, self.training)
