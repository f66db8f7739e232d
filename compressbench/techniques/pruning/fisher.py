"""Filters whose absence would change the loss least, by the Fisher information, go (Theis et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning._gradients import Products, check_by_gradients, prune_in_rounds


@dataclass(frozen=True)
class FisherPruning(Technique):
    """Remove the filters whose sums of output times gradient, over the places of an example, have the least squares.

    Source: Theis et al. 2018, "Faster gaze prediction with dense networks and Fisher pruning", section 2.1: the loss
    grows by 1/(2N) sum over N examples of (sum over places of a dL/da)^2 if a filter's outputs become zero.

    targets, ignore: what is pruned, and what is not. ratio: fraction of filters removed, 0 or more and less than 1.
    ratios: other ratios for some layers. round_to: filters that stay are rounded up to a multiple; 1 is off.
    scope: which filters compete: all (`global`, as in the paper) or those of each layer (`per_layer`).
    examples: training examples that the sums are over, 1 or more. rounds: steps in which equally many filters go, 1 or
    more. retrain: the training between them; needed for more than one round.

    We differ: the paper removes a filter at a time while it trains, and weighs its cost in FLOPs against the loss; here
    filters go in `rounds`, once unless asked, by the loss alone. Layers whose outputs are added are pruned together, by
    the sum of their scores; outputs are taken behind the batch norm, and of a network in evaluation mode.
    """

    targets: list[str]
    ratio: float
    ratios: dict[str, float]
    ignore: list[str]
    round_to: int
    scope: str
    examples: int
    rounds: int
    retrain: TrainingConfig | None

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"filters_removed"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})
    predictable: ClassVar[bool] = False  # with scope global

    def __post_init__(self) -> None:
        check_by_gradients(self)

    def apply(self, subject: Subject, context: Context) -> Subject:
        return prune_in_rounds(subject, context, self, information)


def information(batches: Iterator[Products]) -> Products:
    """Return half the mean over examples of the squares, (filters,), by name of the layer."""
    found: Products = {}
    count = 0
    for batch in batches:
        count += len(next(iter(batch.values())))
        for name, products in batch.items():
            own = products.square().sum(0) / 2
            found[name] = found.get(name, torch.zeros_like(own)) + own
    return {name: scores / count for name, scores in found.items()}
