"""Channels without which the next layer's output changes least go, one after the other (Luo et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques.pruning._channels import (
    Contributions,
    Read,
    contributions,
    damped,
    drop,
    prune_by_readers,
)
from compressbench.techniques.pruning._structured import check_by_ratio


@dataclass(frozen=True)
class ThiNetPruning(Technique):
    """Remove filters whose channels, together, contribute least to the outputs of the layer that reads them.

    Source: Luo et al. 2017, "ThiNet: A Filter Level Pruning Method for Deep Neural Network Compression", section 3.2:
    greedily, the channel joins those that go whose square of the sum of contributions is then the smallest (equation 6,
    algorithm 1); the channels that stay are rescaled by least squares (equation 7). Layer after layer, on inputs that
    come through the layers pruned so far.

    targets, ignore: whose filters are pruned, and whose not. ratio: fraction of filters removed, 0 or more and less
    than 1; floor(n (1 - ratio)) of n stay. ratios: other ratios for some layers. round_to: filters that stay are
    rounded up to a multiple; 1 is off. examples: training examples to look at, 1 or more. rescale: whether the weights
    that read a channel which stays are multiplied by one factor.

    We differ: contributions are compared at every place and output of the examples, not at ten drawn ones of each; what
    several layers read counts in all of them. There is no training between layers; `training/finetune` comes behind.
    """

    targets: list[str]
    ratio: float
    ratios: dict[str, float]
    ignore: list[str]
    round_to: int
    examples: int
    rescale: bool

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"filters_removed"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        check_by_ratio(self)
        if self.examples < 1:
            raise out_of_range("examples", self.examples, "1 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        refit = rescaled if self.rescale else drop
        return prune_by_readers(subject, context, self, greedy_order, refit, towards_original=False)


def greedy_order(found: Contributions, kept: int) -> Tensor:
    """Return when each channel goes, (filters,): first the one with the smallest square of contributions."""
    gram, size = found.gram, len(found.gram)
    cost, order = gram.diagonal().clone(), torch.zeros(size)
    for number in range(size):
        channel = int(cost.argmin())
        order[channel] = number
        cost += 2 * gram[channel]
        cost[channel] = torch.inf
    return order


def rescaled(read: Read, stays: Tensor) -> Tensor:
    """Return the weights with a factor for each channel that stays, so that the outputs are nearest to those wanted."""
    found = contributions(read, len(stays))
    matrix, amount = damped(found.gram[stays][:, stays])
    factors = torch.ones(len(stays), dtype=matrix.dtype, device=matrix.device)
    factors[stays] = torch.linalg.solve(matrix, found.wanted[stays] + amount)
    return drop(read, stays) * torch.where(read.owner >= 0, factors[read.owner], 1.0)
