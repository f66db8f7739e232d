"""Weights chosen by chance go: the control for every weight criterion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques.pruning._patterns import check_pattern, pattern_of
from compressbench.techniques.pruning._unstructured import check_fields, kept_fractions, prune_weights, pruned_again


@dataclass(frozen=True)
class RandomWeightPruning(Technique):
    """Set as many weights to zero as `pruning/magnitude` with the same fields, but by chance.

    Source: Blalock et al. 2020, "What is the State of Neural Network Pruning?", who ask for this control in every
    comparison.

    targets, ratio, ratios, ignore, scope, pattern: as in `pruning/magnitude`. An untrained network may be pruned.
    """

    targets: list[str]
    ratio: float
    ratios: dict[str, float]
    ignore: list[str]
    scope: str
    pattern: str | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"sparse"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_fields(self.ratio, self.ratios, self.scope)
        check_pattern(self.pattern, self.ratio, self.ratios, self.scope)

    def apply(self, subject: Subject, context: Context) -> Subject:
        def chance(_: str, weight: Tensor) -> Tensor:
            return torch.rand(weight.shape, generator=context.generator)

        pattern = pattern_of(self.pattern)
        kept = kept_fractions(subject, self.targets, self.ignore, self.ratio, self.ratios, pattern)
        return prune_weights(subject, chance, kept, self.scope, pattern)

    def fault_after(self, earlier: Sequence[Technique]) -> str | None:
        return pruned_again(self, earlier)
