"""A distillation as a stage of its own: trained by its own objective."""

from __future__ import annotations

from compressbench.core.context import Context
from compressbench.core.objective import Distillation
from compressbench.core.subject import Subject


def distilled(technique: Distillation, subject: Subject, context: Context) -> Subject:
    """Return the subject trained. ValueError without a training, or as `Distillation.objective` raises it."""
    if technique.training is None:
        raise ValueError("training is null; allowed: a mapping, or null below `distill`")
    return context.train(subject, technique.training, technique.objective(subject, context))
