"""Filters nearest to the geometric median of their layer go (He et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques.pruning._criteria import distances, l2_norms
from compressbench.techniques.pruning._groups import Graph, Group
from compressbench.techniques.pruning._structured import (
    asked,
    check_by_ratio,
    finish,
    fitting,
    group_scores,
    lowest,
)


@dataclass(frozen=True)
class FPGMPruning(Technique):
    """Remove the filters that the others of their layer can replace: those with the least sum of distances to all.

    Source: He et al. 2019, "Filter Pruning via Geometric Median for Deep Neural Networks Acceleration", equations 4
    to 7. The geometric median is sought among the filters themselves, as in the paper. floor(n (1 - ratio)) of n
    filters stay.

    targets, ignore: what is pruned, and what is not. ratio: fraction of filters removed, 0 or more and less than 1.
    ratios: other ratios for some layers. round_to: filters that stay are rounded up to a multiple; 1 is off.
    norm_rate: of the filters that go, the fraction that is taken first, by the smallest L2 norm; distances are then
    among the others (the paper's FPGM-mix: 0.25). 0 to 1; 1 is pruning by norm alone.

    We differ: layers whose outputs are added are pruned together, by the sums of their norms and of their distances.
    The paper prunes after every epoch of a training and lets filters come back, as `pruning/soft_filter`; here once.
    """

    targets: list[str]
    ratio: float
    ratios: dict[str, float]
    ignore: list[str]
    round_to: int
    norm_rate: float

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"filters_removed"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        check_by_ratio(self)
        if not 0 <= self.norm_rate <= 1:
            raise out_of_range("norm_rate", self.norm_rate, "a fraction from 0 to 1")

    def apply(self, subject: Subject, context: Context) -> Subject:
        model, graph = subject.model, Graph(subject.model, context.example)
        groups = asked(subject, graph, self)
        scores = [self._scores(model, group, int(stay)) for group, stay in groups]
        return finish(subject, context, lowest(groups, scores, self.round_to, "per_layer", subject.skipped))

    def _scores(self, model: nn.Module, group: Group, kept: int) -> Tensor:
        """Return the sums of distances, and -1 for filters that go by their norm."""
        gone = group.size - fitting(kept, group, self.round_to)
        small = group_scores(model, group, l2_norms).argsort(stable=True)[: int(gone * Fraction(str(self.norm_rate)))]
        others = torch.ones(group.size, dtype=torch.bool)
        others[small] = False
        scores = torch.full((group.size,), -1.0)
        scores[others] = group_scores(model, group, lambda layer: distances(layer, others))
        return scores
