"""Training of a freshly initialised network."""

from __future__ import annotations

from dataclasses import dataclass

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import Training


@dataclass(frozen=True)
class FromScratch(Training, Technique):
    """Train the network as it is, freshly initialised. A trained one is for `finetune` or `rewind`."""

    adds = frozenset({"trained"})
    refuses = frozenset({"trained"})

    def apply(self, subject: Subject, context: Context) -> Subject:
        return context.train(subject, self)
