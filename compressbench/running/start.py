"""The subject before the first stage: freshly initialised by the seed, or with given weights."""

from __future__ import annotations

import torch
from torch import nn

from compressbench.core.before import GIVEN
from compressbench.core.context import Context
from compressbench.core.errors import RunError
from compressbench.core.identity import digest
from compressbench.core.plan import Plan, Stage
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.running.given_weights import give_weights, weights_fault


class AsItIs(Technique):
    """Change nothing."""

    def apply(self, subject: Subject, context: Context) -> Subject:
        return subject


AS_GIVEN = Stage(GIVEN, GIVEN, AsItIs())
"""Comes before the first stage if weights are given, so that the network is stored and measured as it was."""


def seed_of(*parts: object) -> int:
    """Return a seed for torch that depends on all parts (strings and integers)."""
    return int(digest([str(part) for part in parts], length=15), 16)


def start_subject(plan: Plan) -> Subject:
    """Return the plan's network. The same seed gives the same weights; the global random state is left alone.

    Raises RunError if weights are named that cannot be had or do not fit.
    """
    return started(plan)[0]


def started(plan: Plan) -> tuple[Subject, str]:
    """Return what `start_subject` does, and how given weights were matched; empty without any."""
    model, how = _built(plan), ""
    if plan.model.weights is not None:
        try:
            how = give_weights(model, plan.model)
        except ValueError as error:
            raise RunError(f"model.weights: {error}") from error
    return Subject(model, plan.model.architecture), how


def unfit_weights(plan: Plan) -> str | None:
    """Return what is wrong with the plan's weights as far as it can be told without a download."""
    return None if plan.model.weights is None else weights_fault(plan.model, _built(plan))


def _built(plan: Plan) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of("start", plan.seed))
        return plan.model.architecture.build()
