"""Filters whose absence would change the loss least, to first order, go (Molchanov et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from compressbench.core.context import Context
from compressbench.core.errors import suggestion
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning._gradients import Products, check_by_gradients, prune_in_rounds

OVER = ("example", "batch")


@dataclass(frozen=True)
class TaylorPruning(Technique):
    """Remove the filters whose outputs times the gradients of the loss have the smallest sums.

    Source: Molchanov et al. 2017, "Pruning Convolutional Neural Networks for Resource Efficient Inference", section
    2.2: the mean over examples of |sum over places of z dC/dz|, divided by the L2 norm of the layer's (which the
    paper's mean over places leaves the same). With `over: batch, normalize: false` it is the gate of Molchanov et al.
    2019, "Importance Estimation for Neural Network Pruning", equation 8: the square of the sum over a batch and its
    places, the mean of these over batches.

    targets, ignore: what is pruned, and what is not. ratio: fraction of filters removed, 0 or more and less than 1.
    ratios: other ratios for some layers. round_to: filters that stay are rounded up to a multiple; 1 is off.
    scope: which filters compete: all (`global`, as in the papers) or those of each layer (`per_layer`).
    examples: training examples that the sums are over, 1 or more. over: what the sums are of before their sign goes, an
    `example` or a `batch` of 32. normalize: whether scores are divided by the L2 norm of their layer's.
    rounds: steps in which equally many filters go, 1 or more. retrain: the training between them; needed for more than
    one round.

    We differ: the papers remove one filter, or a hundred, at a time with some updates between; here in `rounds`, once
    unless asked. The penalty on FLOPs is left out. Layers whose outputs are added are pruned together, by the sum of
    their scores; outputs are taken behind the batch norm, and of a network in evaluation mode.
    """

    targets: list[str]
    ratio: float
    ratios: dict[str, float]
    ignore: list[str]
    round_to: int
    scope: str
    examples: int
    over: str
    normalize: bool
    rounds: int
    retrain: TrainingConfig | None

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"filters_removed"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})
    predictable: ClassVar[bool] = False  # with scope global

    def __post_init__(self) -> None:
        check_by_gradients(self)
        if self.over not in OVER:
            raise ValueError(f"over is {self.over!r}; {suggestion(self.over, OVER)}")

    def apply(self, subject: Subject, context: Context) -> Subject:
        return prune_in_rounds(subject, context, self, self._scores)

    def _scores(self, batches: Iterator[Products]) -> Products:
        """Return |sum| of each example, or the squared sum of each batch, added up."""
        found: Products = {}
        for batch in batches:
            for name, products in batch.items():
                own = products.abs().sum(0) if self.over == "example" else products.sum(0).square()
                found[name] = found.get(name, torch.zeros_like(own)) + own
        if not self.normalize:
            return found
        return {
            name: scores / scores.norm().clamp_min(torch.finfo(scores.dtype).tiny) for name, scores in found.items()
        }
