"""Filters with the smallest L1 norm go (Li et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques.pruning._criteria import l1_norms
from compressbench.techniques.pruning._structured import check_by_ratio, prune_by_ratio


@dataclass(frozen=True)
class L1NormPruning(Technique):
    """Remove the filters whose absolute weights have the smallest sum, a fraction of each layer.

    Source: Li et al. 2017, "Pruning Filters for Efficient ConvNets", with its "independent" strategy: all
    scores are of the original weights. floor(n (1 - ratio)) of n filters stay.

    targets, ignore: what is pruned, and what is not. ratio: fraction of filters removed, 0 or more and less than 1.
    ratios: other ratios for some layers. round_to: filters that stay are rounded up to a multiple; 1 is off.

    We differ: layers whose outputs are added are pruned together, by the sum of their scores (the paper takes
    the shortcut's filters alone), and any layer that keeps at least one filter is allowed.
    """

    targets: list[str]
    ratio: float
    ratios: dict[str, float]
    ignore: list[str]
    round_to: int

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"filters_removed"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        check_by_ratio(self)

    def apply(self, subject: Subject, context: Context) -> Subject:
        return prune_by_ratio(subject, context, self, l1_norms)
