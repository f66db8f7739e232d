"""Weights are rounded column after column; those not yet rounded make up for the error (Frantar et al. 2023)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layer_sums import inverse_cholesky, layer_sums
from compressbench.techniques.quantization._grid import check_grid, grid_of, quantized
from compressbench.techniques.quantization._layerwise import layers_with_inputs

LARGEST = 1 << 25
"""Elements of the matrices of rows that have zeros, which are worked on together: a quarter of a gigabyte."""


@dataclass(frozen=True)
class GptqQuantization(Technique):
    """Round weights so that each layer's output stays near on calibration examples, by second-order updates.

    Source: Frantar et al. 2023, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers",
    algorithm 1, sections 3 and 4. Layer after layer, on inputs that come through the layers quantized so far. With H
    the sum of s s^T over a layer's inputs and U the upper Cholesky factor of its inverse, column j is rounded and the
    columns behind it change by -(w - q) / U[j, j] U[j, j+1:]. Convolutions by their patches, laid flat.

    targets, ignore: what is quantized, and what is not; biases are not. bits, group, symmetric, range, step: the grid,
    as of `quantization/round_to_nearest`; the scales of a group are chosen when its first column is reached, from the
    weights as they are by then. examples: calibration examples, rounded up to batches of 64. damping: added to the
    diagonal of H, as a fraction of its mean; more than 0. act_order: take the columns with the largest diagonal of H
    first (`--act-order` of the authors' code); scales are then chosen before. block: columns whose updates are applied
    to the rest together, which changes nothing but the time. towards_original: whether the outputs to keep are those of
    the network as it was, on its own inputs, so that a layer makes up for the errors of those before it (Li et al.
    2025, "GPTAQ: Efficient Finetuning-Free Quantization for Asymmetric Calibration", section 4): the weights move to
    the least squares' solution before they are rounded.

    We differ: scales are rounded to bfloat16; columns whose inputs are always zero are rounded to the nearest instead
    of set to zero. Weights that are zero stay so, whatever pruned them: rows with zeros each have an H of their own,
    without those columns, and scales that are chosen before.
    """

    targets: list[str]
    ignore: list[str]
    bits: int
    group: int
    symmetric: bool
    range: str
    examples: int
    damping: float
    act_order: bool
    block: int
    towards_original: bool = False
    step: float | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"quantized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_grid(self)
        for key in ("examples", "block"):
            if getattr(self, key) < 1:
                raise out_of_range(key, getattr(self, key), "1 or more")
        if not 0 < self.damping < torch.inf:
            raise out_of_range("damping", self.damping, "more than 0")

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = layers_with_inputs(subject, self.targets, self.ignore)
        model = subject.model.eval()
        original = copy.deepcopy(model) if self.towards_original else None
        with context.progress.task("columns", len(names)) as advance:
            for name in names:
                weight = model.get_submodule(name).get_parameter("weight").detach().flatten(1)
                sums = layer_sums(model, name, context, self.examples, original)
                aims = sums.products.mT if self.towards_original else [None] * len(sums.inputs)
                parts = zip(weight.chunk(len(sums.inputs)), sums.inputs, aims, strict=True)
                found = torch.cat([self.rounded(*part) for part in parts])
                quantized(subject, f"{name}.weight", found, self)
                advance(1, name)
        return subject

    @torch.no_grad()
    def rounded(self, weights: Tensor, hessian: Tensor, products: Tensor | None = None) -> Tensor:
        """Return a matrix (rows, columns) on the grid. hessian: (columns, columns), the sum of s s^T. products: (rows,
        columns), that of o s^T, where o are the outputs to keep; None: those of the matrix on these inputs."""
        present = weights != 0
        importance = (
            hessian.diagonal() if self.act_order else -torch.arange(len(hessian), device=hessian.device).float()
        )
        if bool(present.all()):
            order = importance.argsort(descending=True, stable=True)[None]
            return self._in_order(weights, order, hessian, products, self.group > 0 and not self.act_order)
        found, start = [], 0
        for rows in weights.split(max(LARGEST // len(hessian) ** 2, 1)):
            kept = present[start : start + len(rows)]
            ranks = torch.where(kept, importance, -torch.inf).argsort(dim=1, descending=True, stable=True)
            order = ranks[:, : max(int(kept.sum(1).max()), 1)]
            aims = None if products is None else products[start : start + len(rows)]
            found.append(self._in_order(rows, order, hessian, aims, False))
            start += len(rows)
        return torch.cat(found)

    def _in_order(self, weights: Tensor, order: Tensor, hessian: Tensor, products: Tensor | None, late: bool) -> Tensor:
        """Return a matrix whose other columns are zero. order: (1 or rows, columns): which to round, one after another.
        late: whether the scales of a group are chosen when its first column is reached."""
        places = order.expand(len(weights), -1)
        left = weights.gather(1, places).double()
        there = (weights != 0).gather(1, places)[: len(order)]
        own = hessian[order[:, :, None], order[:, None, :]] * (there[:, :, None] & there[:, None, :])
        upper = inverse_cholesky(own, self.damping)
        if products is not None:
            missing = (products - weights @ hessian).gather(1, places).double() * there
            left += (missing[:, None] @ upper.mT @ upper)[:, 0]
        grid = grid_of(weights, self).gathered(places)
        values = torch.empty_like(left, dtype=weights.dtype)
        block = -(-self.block // self.group) * self.group if late else self.block  # whole groups
        for start in range(0, left.shape[1], block):
            end = min(start + block, left.shape[1])
            errors = torch.empty_like(left[:, start:end])
            for column in range(start, end):
                if late and column % self.group == 0:
                    run = slice(column, column + self.group)
                    fresh = grid_of(left[:, run].to(weights.dtype), self)
                    grid.scale[:, run], grid.low[:, run] = fresh.scale, fresh.low
                value = grid.column(column).rounded(left[:, column].to(weights.dtype))
                values[:, column] = value
                error = (left[:, column] - value) / upper[:, column, column]
                left[:, column:end] -= error[:, None] * upper[:, column, column:end]
                errors[:, column - start] = error
            behind = upper[:, start:end, end:]
            left[:, end:] -= errors @ behind[0] if len(upper) == 1 else torch.einsum("rb,rbc->rc", errors, behind)
        return torch.zeros_like(weights).scatter(1, places, values)
