"""Filters are set to zero after every epoch and may come back; what is zero at the end goes (He et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import suggestion
from compressbench.core.objective import Hook
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning._criteria import distances, l1_norms, l2_norms
from compressbench.techniques.pruning._groups import Graph, Group
from compressbench.techniques.pruning._structured import (
    Score,
    asked,
    check_by_ratio,
    finish,
    group_scores,
    lowest,
)

CRITERIA: dict[str, Score] = {"l2": l2_norms, "l1": l1_norms, "geometric_median": distances}


@dataclass(frozen=True)
class SoftFilterPruning(Technique):
    """Train; after every epoch set a fraction of the filters of each layer to zero. The next epoch trains them too.

    Source: He et al. 2018, "Soft Filter Pruning for Accelerating Deep Convolutional Neural Networks", section 3 and
    algorithm 1. floor(n (1 - ratio)) of n filters stay. With `criterion: geometric_median` it is the procedure of He
    et al. 2019, "Filter Pruning via Geometric Median". The network may be trained already or not.

    training: the training. targets, ignore: what is pruned, and what is not. ratio: fraction of filters set to zero
    after each epoch, and removed at the end; 0 or more and less than 1. ratios: other ratios for some layers. round_to:
    filters that stay are rounded up to a multiple; 1 is off. criterion: what of a filter is smallest, its `l2` or `l1`
    norm (the paper: l2), or its distances to the others of its layer (`geometric_median`).

    We differ: a filter's bias becomes zero with its weights (the paper's convolutions have none). Its batch norm's
    shift stays while it may come back, as in the authors' code, and goes at the end. Layers whose outputs are added are
    pruned together, by the sum of their scores.
    """

    training: TrainingConfig
    targets: list[str]
    ratio: float
    ratios: dict[str, float]
    ignore: list[str]
    round_to: int
    criterion: str

    adds: ClassVar[frozenset[str]] = frozenset({"trained", "filters_removed"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        check_by_ratio(self)
        if self.criterion not in CRITERIA:
            raise ValueError(f"criterion is {self.criterion!r}; {suggestion(self.criterion, CRITERIA)}")

    def apply(self, subject: Subject, context: Context) -> Subject:
        groups = asked(subject, Graph(subject.model, context.example), self)
        steps_per_epoch = context.steps(replace(self.training, epochs=1))
        done = 0  # since the last checkpoint, which is written at the end of an epoch

        def zero_after_epochs(model: nn.Module) -> None:
            nonlocal done
            done += 1
            if done % steps_per_epoch == 0:
                for group, gone in self._chosen(model, groups, []):
                    _zero(model, group, sorted(gone))

        subject = context.train(subject, self.training, hooks=[Hook(after_step=zero_after_epochs)])
        return finish(subject, context, self._chosen(subject.model, groups, subject.skipped))

    def _chosen(
        self, model: nn.Module, groups: list[tuple[Group, Fraction]], skipped: list[Skipped]
    ) -> list[tuple[Group, set[int]]]:
        """Return the filters of each group to set to zero now, and before all those that are."""
        scores = [group_scores(model, group, self._score) for group, _ in groups]
        return lowest(groups, scores, self.round_to, "per_layer", skipped)

    def _score(self, layer: nn.Module) -> Tensor:
        return CRITERIA[self.criterion](layer).masked_fill(l2_norms(layer) == 0, -1.0)


@torch.no_grad()
def _zero(model: nn.Module, group: Group, filters: list[int]) -> None:
    for name in group.members:
        for _, parameter in model.get_submodule(name).named_parameters(recurse=False):  # weight, and bias if there is
            parameter[filters] = 0
