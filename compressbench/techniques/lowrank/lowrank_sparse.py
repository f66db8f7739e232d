"""Weights become the sum of a low-rank and a sparse part, by what a layer computes (Yu et al. 2017)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.constraint import Mask
from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.format import Sparse
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.layers.chain import Chain, Sum
from compressbench.techniques._layer_sums import layer_sums, obstacle
from compressbench.techniques._layers import check_ratios, ratio_by_layer
from compressbench.techniques.lowrank._factored import (
    factorable,
    leave,
    matrices,
    put_module,
    two_factors,
    without_bias,
)
from compressbench.techniques.lowrank._truncation import decomposed

STEPS = 5
"""Descents of the sparse part in a round; each can only make the error smaller."""


@dataclass(frozen=True)
class LowRankSparse(Technique):
    """GreBdec: W becomes L + S, L of low rank and S of few non-zeros, so that the layer's output stays.

    Source: Yu et al. 2017, "On Compressing Deep Models by Low Rank and Sparse Decomposition", Eq. 2 and Algorithm 1:
    minimise |Y - (L + S) X|^2 over rank(L) <= r and |S|_0 <= c, layer after layer, Y the outputs of the network as it
    was and X the inputs that come through the layers decomposed so far (their asymmetric reconstruction). L and S are
    improved in turn. Stored: two factors of L, and S as its non-zeros, which a mask keeps.

    targets, ignore: which layers. ratio: fraction of a layer's weights that goes at least, zeros of S counted as gone;
    0 or more and less than 1. ratios: other ratios for some layers. low_rank_share: fraction of what stays that L gets,
    more than 0 and less than 1. rounds: of L and S. examples: training examples that X and Y are of; 0: X is the
    identity, so the weights alone count. most_columns: a layer with more columns is decomposed by its weights alone,
    for the sums over its inputs would have that many numbers, squared. damping: how much staying near the weights
    counts beside the output, by the mean square of an input. retrain: a training afterwards; null for none.

    We differ: L is the exact minimum in the metric of the inputs (a singular value decomposition), which the paper
    nears by a greedy bilateral scheme to save time; S descends by steps that are hard-thresholded.
    """

    targets: list[str]
    ignore: list[str]
    ratio: float
    ratios: dict[str, float]
    low_rank_share: float
    rounds: int
    examples: int
    most_columns: int
    damping: float
    retrain: TrainingConfig | None

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"factored", "sparse"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        check_ratios(self.ratio, self.ratios)
        if not 0 < self.low_rank_share < 1:
            raise out_of_range("low_rank_share", self.low_rank_share, "more than 0 and less than 1")
        for key, least in (("rounds", 1), ("examples", 0), ("most_columns", 0)):
            if getattr(self, key) < least:
                raise out_of_range(key, getattr(self, key), f"{least} or more")
        if not self.damping > 0:
            raise out_of_range("damping", self.damping, "more than 0")

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = factorable(subject, self.targets, self.ignore, obstacle)
        ratios = ratio_by_layer(subject.model, self.targets, self.ignore, self.ratio, self.ratios)
        original = copy.deepcopy(subject.model).eval()
        modes = subject.model.training
        subject.model.eval()
        with context.progress.task("low rank and sparse", len(names)) as advance, torch.no_grad():
            for name in names:
                self._decompose(subject, original, name, ratios[name], context)
                advance(1, name)
        subject.model.train(modes)
        return subject if self.retrain is None else context.train(subject, self.retrain)

    def _decompose(self, subject: Subject, original: nn.Module, name: str, ratio: float, context: Context) -> None:
        layer = subject.model.get_submodule(name)
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        weights = matrices(layer)
        groups, rows, columns = weights.shape
        kept = int(groups * rows * columns * (1 - Fraction(str(ratio))))
        cost = groups * (rows + columns)
        rank = min(int(kept * self.low_rank_share) // cost, rows, columns)
        nonzeros = (kept - rank * cost) // groups
        if rank < 1:
            why = f"a rank of 1 takes {cost:,} weights, of {kept:,} that stay {self.low_rank_share:.0%} are its own"
            return leave(subject, name, self.targets, why)
        sums = (self._sums(subject, original, name, context) if self.examples else None) or [None] * groups
        parts = [
            low_rank_and_sparse(weights[group], sums[group], rank, nonzeros, self.rounds, self.damping)
            for group in range(groups)
        ]
        left, right, sparse = (torch.stack(each) for each in zip(*parts, strict=True))
        rest = without_bias(layer, sparse.reshape_as(layer.weight))
        low = Chain(two_factors(layer, left, right, layer.bias))
        put_module(subject, name, Sum({"low_rank": low, "sparse": rest}))
        parameter = f"{name}.sparse.weight"
        subject.constrain(Mask(parameter, rest.weight.detach() != 0))
        return subject.store(parameter, Sparse())

    def _sums(
        self, subject: Subject, original: nn.Module, name: str, context: Context
    ) -> list[tuple[Tensor, Tensor] | None] | None:
        """Return the sums over inputs, and over inputs and outputs, of each group; None for one of many columns."""
        columns = subject.model.get_submodule(name).get_parameter("weight")[0].numel()
        if columns > self.most_columns:
            why = f"its {columns:,} columns are more than most_columns, {self.most_columns:,}; its weights alone count"
            subject.skipped.append(Skipped(f"the inputs of {name}", why))
            return None
        found = layer_sums(subject.model, name, context, self.examples, original)
        return list(zip(found.inputs, found.products, strict=True))


def low_rank_and_sparse(
    weight: Tensor, sums: tuple[Tensor, Tensor] | None, rank: int, nonzeros: int, rounds: int, damping: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return two factors of L, (rows, rank) and (rank, columns), and S, (rows, columns), float64.

    weight: (rows, columns). sums: of s s^T (columns, columns) and s o^T (columns, rows); None: the weights alone count.
    """
    *_, found = improved(weight, sums, rank, nonzeros, rounds, damping)
    return found[:3]


def improved(
    weight: Tensor, sums: tuple[Tensor, Tensor] | None, rank: int, nonzeros: int, rounds: int, damping: float
) -> Iterator[tuple[Tensor, Tensor, Tensor, float]]:
    """Yield both factors of L, S and the error after each round; it never grows."""
    aim, root, metric = weight.double(), None, None
    if sums is not None:
        metric = sums[0].double()
        extra = damping * metric.diagonal().mean().clamp_min(torch.finfo(torch.float64).tiny)
        metric = metric + extra * torch.eye(len(metric)).to(metric)
        root = torch.linalg.cholesky(metric)
        aim = torch.cholesky_solve(sums[1].double() + extra * weight.double().T, root).T
    sparse = torch.zeros_like(aim)
    for _ in range(rounds):
        rest = aim - sparse
        factors = decomposed((rest if root is None else rest @ root)[None]).truncated(rank)
        left, right = (factor[0].double() for factor in factors)
        if root is not None:
            right = torch.linalg.solve_triangular(root, right, upper=False, left=False)
        sparse = _sparse(aim - left @ right, sparse, metric, nonzeros)
        error = aim - left @ right - sparse
        yield left, right, sparse, float((error * (error if metric is None else error @ metric)).sum())


def _sparse(rest: Tensor, sparse: Tensor, metric: Tensor | None, nonzeros: int) -> Tensor:
    """Return the sparse part of what is left: the largest elements, or, in a metric, a few steps of descent.

    A step minimises, for the given number of non-zeros, a bound of the error that touches it where the step begins: the
    metric is at most its diagonal plus what stands beside it in a row, so the error falls or stays.
    """
    if metric is None:
        return _largest(rest, rest.abs(), nonzeros)
    bound = metric.abs().sum(0)
    for _ in range(STEPS):
        moved = sparse + (rest - sparse) @ metric / bound
        sparse = _largest(moved, moved.square() * bound, nonzeros)
    return sparse


def _largest(values: Tensor, scores: Tensor, count: int) -> Tensor:
    """Return the values with the largest scores, zeros for the others."""
    kept = scores.flatten().topk(min(count, scores.numel())).indices
    found = torch.zeros_like(values).flatten()
    found[kept] = values.flatten()[kept]
    return found.view_as(values)
