"""Weights go so that each layer's output changes little, the others making up for them (Frantar and Alistarh 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import ClassVar

import torch
from torch import Tensor

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.format import Blocks, NOfM
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layer_sums import inverse_cholesky, layer_sums
from compressbench.techniques.pruning._calibrated import Layer, check_calibrated, in_groups, prune_layers
from compressbench.techniques.pruning._patterns import Pattern, pattern_of
from compressbench.techniques.pruning._ranking import apportion
from compressbench.techniques.pruning._unstructured import survivors


@dataclass(frozen=True)
class SparseGPTPruning(Technique):
    """Prune once, without training, column after column; weights behind a column make up for what it loses.

    Source: Frantar and Alistarh 2023, "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot",
    Algorithm 1. Layer after layer, on inputs that come through what is pruned so far: with H the sum of s s^T of a
    layer's inputs, and U the upper Cholesky factor of the inverse of H, weight (r, c) costs (w / U[c, c])^2. Of each
    block of columns those that cost least go, and the error of each is made up for by the columns behind it in its row.

    targets, ignore: linear layers and convolutions of images, also grouped. ratio: fraction of each layer's weights
    set to zero, 0 or more and less than 1; ratios: others for some layers. pattern: null, `"2:4"` or `4x4`, as in
    `pruning/magnitude`; of n:m, weights are chosen every m columns. blocksize: columns for which weights are chosen at
    once, a multiple of the pattern's. damping: added to the diagonal of H, times its mean; more than 0. examples: of
    training that inputs are looked at, rounded up to batches of 64. The exact greedy order instead is `pruning/obs`.

    We differ: the number of zeros is exact, in each layer by largest remainder (`_ranking`); of a convolution, columns
    that a pattern divides are input channels at one kernel position, not the columns as they lie; what an earlier mask
    holds at zero is among those that go.
    """

    targets: list[str]
    ignore: list[str]
    ratio: float
    ratios: dict[str, float]
    pattern: str | None
    blocksize: int
    damping: float
    examples: int

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"sparse"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_calibrated(self.ratio, self.ratios, self.pattern, self.examples)
        step = _step(pattern_of(self.pattern)) or 1
        if self.blocksize < 1 or self.blocksize % step:
            raise out_of_range("blocksize", self.blocksize, f"a multiple of {step}" if step > 1 else "1 or more")
        if not 0 < self.damping < inf:
            raise out_of_range("damping", self.damping, "more than 0")

    def apply(self, subject: Subject, context: Context) -> Subject:
        pattern = pattern_of(self.pattern)

        def prune(layer: Layer) -> tuple[Tensor, Tensor]:
            sums = layer_sums(subject.model, layer.name, context, self.examples)
            upper = inverse_cholesky(sums.inputs[:, layer.order][:, :, layer.order], self.damping)

            def solve(weight: Tensor, allowed: Tensor | None, count: int, group: int) -> tuple[Tensor, Tensor]:
                return solved(weight, upper[group].to(weight.dtype), allowed, count, self.blocksize, pattern)

            return in_groups(layer, solve)

        return prune_layers(self, subject, context, prune)


def solved(
    weight: Tensor, upper: Tensor, allowed: Tensor | None, count: int, blocksize: int, pattern: Pattern | None
) -> tuple[Tensor, Tensor]:
    """Return the weights (rows, columns) after Algorithm 1, and which of them stay.

    upper: the factor U (columns, columns). allowed: where a weight may stay at all; None is everywhere. count: how many
    stay in all, each block of columns its share.
    """
    weight, columns = weight.clone(), weight.shape[1]
    keep = torch.zeros_like(weight, dtype=torch.bool)
    unit = pattern.rows * pattern.columns if isinstance(pattern, Blocks) else 1
    blocks = [(start, min(start + blocksize, columns)) for start in range(0, columns, blocksize)]
    counts = apportion([Fraction(count * (end - start), columns * unit) for start, end in blocks])
    for (start, end), own in zip(blocks, counts, strict=True):
        step = pattern.m if isinstance(pattern, NOfM) else end - start
        errors = torch.zeros_like(weight[:, start:end])
        for column in range(start, end):
            if (column - start) % step == 0:
                here = slice(column, column + step)
                cost = (weight[:, here] / upper.diagonal()[here]).square()
                keep[:, here] = survivors(cost, None if allowed is None else allowed[:, here], own, pattern)
            error = weight[:, column].masked_fill(keep[:, column], 0) / upper[column, column]
            weight[:, column:end] -= error[:, None] * upper[column, column:end]
            errors[:, column - start] = error
        weight[:, end:] -= errors @ upper[start:end, end:]
    return weight, keep


def _step(pattern: Pattern | None) -> int | None:
    """Return how many columns a pattern divides them into."""
    return pattern.m if isinstance(pattern, NOfM) else pattern.columns if pattern else None
