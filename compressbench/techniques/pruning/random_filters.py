"""Filters chosen by chance go: the control for every filter criterion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques.pruning._structured import check_by_ratio, prune_by_ratio


@dataclass(frozen=True)
class RandomFilterPruning(Technique):
    """Remove as many filters as `pruning/l1_norm` with the same fields, but by chance.

    Source: Li et al. 2017, "Pruning Filters for Efficient ConvNets", section 4.4: their control. Blalock et al. 2020,
    "What is the State of Neural Network Pruning?", ask for it in every comparison.

    targets, ratio, ratios, ignore, round_to: as in `pruning/l1_norm`. An untrained network may be pruned.
    """

    targets: list[str]
    ratio: float
    ratios: dict[str, float]
    ignore: list[str]
    round_to: int

    adds: ClassVar[frozenset[str]] = frozenset({"filters_removed"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        check_by_ratio(self)

    def apply(self, subject: Subject, context: Context) -> Subject:
        def chance(layer: nn.Module) -> Tensor:
            return torch.rand(layer.get_parameter("weight").shape[0], generator=context.generator)

        return prune_by_ratio(subject, context, self, chance)
