"""One weight after the other goes, that which costs least when all others make up for it (Hassibi and Stork 1993)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import torch
from torch import Tensor

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.format import Blocks, NOfM
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layer_sums import layer_sums
from compressbench.techniques.pruning._calibrated import Layer, check_calibrated, in_groups, prune_layers
from compressbench.techniques.pruning._patterns import pattern_of

CHUNK = 1 << 23
"""Elements of inverses that are worked on at once."""


@dataclass(frozen=True)
class OptimalBrainSurgeon(Technique):
    """Prune once, without training: by the exact second derivatives of each layer's squared error.

    Source: Hassibi and Stork 1993, "Second order derivatives for network pruning: Optimal Brain Surgeon", equations 3
    to 5: the weight with the least w^2 / (2 H^-1[q, q]) goes, and the others of its row move by -w / H^-1[q, q] times
    column q of H^-1; then the next. H is that of the squared error of a layer's output, the sum of s s^T over its
    inputs s, and the rows of a layer share out its zeros by what they cost, as in Frantar and Alistarh 2022, "Optimal
    Brain Compression", section 4. Layer after layer, on inputs that come through what is pruned so far.

    targets, ignore: linear layers and convolutions of images, also grouped. ratio: fraction of each layer's weights
    set to zero, 0 or more and less than 1; ratios: others for some layers. pattern: null or `"2:4"`, as in
    `pruning/magnitude`. block_columns: second derivatives between columns of different blocks of so many are left out;
    a layer with no more columns is exact. Time goes with the number of weights times the square of it. damping: added
    to the diagonal of H, times its mean; more than 0. examples: of training that inputs are looked at, rounded up to
    batches of 64.

    We differ: Hassibi and Stork take H of the whole network from the gradients of its loss; that of a layer's output
    can be had of networks of any depth. `pruning/sparsegpt` is the fast relative of it.
    """

    targets: list[str]
    ignore: list[str]
    ratio: float
    ratios: dict[str, float]
    pattern: str | None
    block_columns: int
    damping: float
    examples: int

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"sparse"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_calibrated(self.ratio, self.ratios, self.pattern, self.examples)
        pattern = _groups_of(self.pattern)
        step = pattern.m if pattern else 1
        if self.block_columns < 1 or self.block_columns % step:
            allowed = f"a multiple of {step}" if step > 1 else "1 or more"
            raise out_of_range("block_columns", self.block_columns, allowed)
        if not 0 < self.damping < inf:
            raise out_of_range("damping", self.damping, "more than 0")

    def apply(self, subject: Subject, context: Context) -> Subject:
        pattern = _groups_of(self.pattern)

        def prune(layer: Layer) -> tuple[Tensor, Tensor]:
            sums = layer_sums(subject.model, layer.name, context, self.examples).inputs.double()
            extra = self.damping * sums.diagonal(dim1=1, dim2=2).mean(1).clamp(min=torch.finfo(torch.float32).tiny)
            hessians = sums[:, layer.order][:, :, layer.order] + extra[:, None, None] * torch.eye(sums.shape[1]).to(
                sums
            )

            def solve(weight: Tensor, allowed: Tensor | None, count: int, group: int) -> tuple[Tensor, Tensor]:
                free = torch.ones_like(weight, dtype=torch.bool) if allowed is None else allowed
                return self._solved(weight, hessians[group], free, count, pattern)

            return in_groups(layer, solve)

        return prune_layers(self, subject, context, prune)

    def _solved(
        self, weight: Tensor, hessian: Tensor, allowed: Tensor, count: int, pattern: NOfM | None
    ) -> tuple[Tensor, Tensor]:
        """Return the weights (rows, columns) of one group, and which of them stay."""
        spans = [slice(start, start + self.block_columns) for start in range(0, weight.shape[1], self.block_columns)]
        all_costs, all_places = [], []
        for span in spans:
            costs, places = removals(weight[:, span].double(), hessian[span, span], allowed[:, span], pattern)
            all_costs.append(costs.cummax(dim=1).values)  # what goes later in a row is never taken before it
            all_places.append(places + span.start)
        order = torch.cat(all_costs, dim=1).flatten().argsort(stable=True)
        gone = order if pattern else order[: weight.numel() - count]
        places = torch.cat(all_places, dim=1)
        keep = allowed.clone()  # more may have gone before than are to go
        keep[gone // places.shape[1], places.flatten()[gone]] = False
        parts = [refitted(weight[:, span].double(), hessian[span, span], keep[:, span]) for span in spans]
        return torch.cat(parts, dim=1).to(weight.dtype), keep


def _groups_of(text: str | None) -> NOfM | None:
    pattern = pattern_of(text)
    if isinstance(pattern, Blocks):
        raise ValueError(f"pattern is {text!r}, but weights go one after the other; allowed: 'n:m', or null")
    return pattern


def removals(weight: Tensor, hessian: Tensor, allowed: Tensor, pattern: NOfM | None) -> tuple[Tensor, Tensor]:
    """Return what it costs each row (rows, steps) to lose one weight after the other, and which one (its column) goes.

    All weights of a row go, or as many as the pattern says; first those that are not allowed to stay.
    """
    inverse, chunk = torch.linalg.inv(hessian), max(1, CHUNK // hessian.numel())
    parts = zip(weight.split(chunk), allowed.split(chunk), strict=True)
    costs, places = zip(*(_removals(rows, inverse, free, pattern) for rows, free in parts), strict=True)
    return torch.cat(costs), torch.cat(places)


def _removals(weight: Tensor, inverse: Tensor, allowed: Tensor, pattern: NOfM | None) -> tuple[Tensor, Tensor]:
    columns, rows = weight.shape[1], torch.arange(len(weight), device=weight.device)
    weight, inverse = weight.clone(), inverse.expand(len(weight), -1, -1).clone()
    m, n = (pattern.m, pattern.n) if pattern else (1, 0)
    gone = torch.zeros_like(allowed)
    costs, places = [], []
    for _ in range(columns // m * (m - n)):
        cost = weight.square() / inverse.diagonal(dim1=1, dim2=2) / 2  # equation 5
        full = gone.unflatten(1, (-1, m)).sum(2) == m - n
        cost = cost.masked_fill(~allowed, -1).masked_fill(gone | full.repeat_interleave(m, dim=1), inf)
        least, place = cost.min(dim=1)
        column = inverse[rows, place]
        pivot = column[rows, place]
        weight -= (weight[rows, place] / pivot)[:, None] * column  # equation 5
        inverse.baddbmm_(column[:, :, None], (column / pivot[:, None])[:, None, :], alpha=-1)  # of what is left of H
        gone[rows, place] = True
        costs.append(least)
        places.append(place)
    return torch.stack(costs, dim=1), torch.stack(places, dim=1)


def refitted(weight: Tensor, hessian: Tensor, keep: Tensor) -> Tensor:
    """Return the weights (rows, columns) of the least error whose others are zero: where all steps of a row lead."""
    chunk = max(1, CHUNK // hessian.numel())
    found = []
    for rows, stay in zip(weight.split(chunk), keep.split(chunk), strict=True):
        there = stay.to(hessian)
        system = hessian * there[:, :, None] * there[:, None, :] + torch.diag_embed(1 - there)
        found.append(torch.linalg.solve(system, (rows @ hessian) * there))
    return torch.cat(found)
