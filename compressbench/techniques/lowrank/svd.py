"""Matrices of weights become products of two by their singular value decomposition (Denton et al. 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from torch import nn

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import value_by_layer
from compressbench.techniques.lowrank._factored import (
    factorable,
    grows,
    leave,
    matrices,
    of_groups,
    put,
    two_factors,
)
from compressbench.techniques.lowrank._ranks import check_ranks, chosen_rank
from compressbench.techniques.lowrank._truncation import decomposed


@dataclass(frozen=True)
class SvdFactorization(Technique):
    """Put two layers, with fewer units between them, in the place of one: the nearest of their rank.

    Source: Denton et al. 2014, "Exploiting Linear Structure Within Convolutional Networks for Efficient Evaluation",
    section 3.1; Choudhary et al. 2020, Eq. 14. W (m x n) = U S V^T becomes U S^1/2 and S^1/2 V^T, cut to the r largest
    singular values; the squared error is the sum of the squares of the others. A convolution of C channels, N filters
    and a kernel of d x d is a matrix N x C d^2: r filters of d x d, then N of 1 x 1; of one in groups, each group is.

    targets, ignore: which layers. rank: of each; null: by energy. energy: fraction of the sum of squared singular
    values that stays at least, more than 0 and at most 1; null: by ratio. ratio: fraction of a layer's weights that
    goes at least, 0 or more and less than 1. ranks: other ranks for some layers, by selector.

    A layer whose factors would have no fewer weights than it is left out (Eq. 14).
    We differ: both factors have the same norm, so that one learning rate suits both.
    """

    targets: list[str]
    ignore: list[str]
    rank: int | None
    energy: float | None
    ratio: float
    ranks: dict[str, int]

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"factored"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        check_ranks(self.rank, self.energy, self.ratio, self.ranks)

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = factorable(subject, self.targets, self.ignore, lambda layer: "")
        given = value_by_layer(subject.model, self.targets, self.ignore, self.rank, self.ranks, "ranks")
        with context.progress.task("factors", len(names)) as advance:
            for name in names:
                self._factor(subject, name, given[name])
                advance(1, name)
        return subject

    def _factor(self, subject: Subject, name: str, rank: int | None) -> None:
        layer = subject.model.get_submodule(name)
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        rows = matrices(layer)
        weights, cost = layer.weight.numel(), of_groups(layer) * sum(rows.shape[1:])
        found = cache(lambda: decomposed(rows))  # what takes long; a given rank may not need it
        chosen = chosen_rank(rank, self.energy, self.ratio, weights, cost, lambda: found().values)
        if why := grows(weights, chosen * cost, str(chosen)):
            leave(subject, name, self.targets, why)
            return
        put(subject, name, two_factors(layer, *found().truncated(chosen), layer.bias))
