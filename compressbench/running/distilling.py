"""What a stage with `distill:` is lent: a context whose trainings are scored by another technique's objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from compressbench.core.context import Context
from compressbench.core.objective import Distillation, Hook, Objective
from compressbench.core.plan import Stage
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig


def distilling(distill: Stage, subject: Subject, context: Context) -> Context:
    """Return the context of a stage that is about to work on this subject.

    What the distillation trains before is done then. ValueError as `Distillation.objective` raises it.
    """
    own = distill.technique
    if not isinstance(own, Distillation):
        raise ValueError(f"distill.technique is {distill.kind!r}, which has no objective to lend")
    return cast("Context", Distilling(context, own.objective(subject, context)))


class Distilling:
    """Lends what a context lends, but scores trainings by an objective."""

    def __init__(self, context: Context, objective: Objective):
        self._context, self._objective = context, objective

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def train(
        self, subject: Subject, config: TrainingConfig, objective: Objective | None = None, hooks: Sequence[Hook] = ()
    ) -> Subject:
        if objective is not None:
            raise ValueError("brings an objective of its own, so that `distill` has no place here")
        return self._context.train(subject, config, self._objective, hooks)
