"""Linear layers become trains of small tensors (Novikov et al. 2015)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.layers.tensor_train import MOST_MODES, TensorTrainLinear
from compressbench.techniques._layers import value_by_layer
from compressbench.techniques.lowrank._factored import factorable, grows, leave, put_module
from compressbench.techniques.lowrank._ranks import check_ranks
from compressbench.techniques.lowrank._truncation import decomposed


@dataclass(frozen=True)
class TensorTrainFactorization(Technique):
    """Put a tensor train in the place of a linear layer: its matrix, folded into many modes, as a product of cores.

    Source: Novikov et al. 2015, "Tensorizing Neural Networks", sections 2 to 4; the decomposition is TT-SVD (Oseledets
    2011): one singular value decomposition after the other, each cut to the rank. Rows o = (o1 ... od) and columns i =
    (i1 ... id) belong together mode by mode: W[o, i] = G1[o1, i1] ... Gd[od, id], core k of r(k-1) ok ik r(k) weights.

    targets, ignore: which linear layers. dimensions: d; rows and columns are taken apart into so many factors as
    nearly equal as there are. modes: other ones for some layers, by selector: [those of the columns, those of the
    rows]. rank: the largest between cores; null: by ratio. ratio: fraction of a layer's weights that goes at least, 0
    or more and less than 1. ranks: other ranks for some layers, by selector.

    A layer whose cores would have no fewer weights than it is left out.
    We differ: the paper trains the cores from scratch; here they start from the layer's weights, and are fine-tuned.
    """

    targets: list[str]
    ignore: list[str]
    dimensions: int
    modes: dict[str, list[list[int]]]
    rank: int | None
    ratio: float
    ranks: dict[str, int]

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"factored"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        check_ranks(self.rank, None, self.ratio, self.ranks)
        if not 2 <= self.dimensions <= MOST_MODES:
            raise out_of_range("dimensions", self.dimensions, f"2 to {MOST_MODES}")
        for selector, modes in self.modes.items():
            if len(modes) != 2 or len(modes[0]) != len(modes[1]) or not 2 <= len(modes[0]) <= MOST_MODES:
                raise out_of_range(f"modes.{selector}", modes, f"two lists of 2 to {MOST_MODES} sizes each")

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = factorable(subject, self.targets, self.ignore, _obstacle)
        ranks = value_by_layer(subject.model, self.targets, self.ignore, self.rank, self.ranks, "ranks")
        nothing: list[list[int]] = []
        modes = value_by_layer(subject.model, self.targets, self.ignore, nothing, self.modes, "modes")
        with context.progress.task("factors", len(names)) as advance:
            for name in names:
                self._factor(subject, name, ranks[name], modes[name])
                advance(1, name)
        return subject

    def _factor(self, subject: Subject, name: str, rank: int | None, modes: list[list[int]]) -> None:
        layer = subject.model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        sizes = (layer.in_features, layer.out_features)
        columns, rows = modes or [balanced(size, self.dimensions) for size in sizes]
        if (math.prod(columns), math.prod(rows)) != sizes:
            raise ValueError(f"modes of {name} are {[columns, rows]}; their products are not {sizes[0]} and {sizes[1]}")
        weights = layer.weight.numel()
        if rank is None:
            rank = _rank(rows, columns, weights * (1 - Fraction(str(self.ratio))))
        if why := grows(weights, cost(rows, columns, rank), str(rank)):
            leave(subject, name, self.targets, why)
            return
        put_module(subject, name, tensor_train(layer.weight, rows, columns, rank, layer.bias))


def _obstacle(layer: nn.Module) -> str:
    return "" if isinstance(layer, nn.Linear) else "only a linear layer becomes a tensor train"


def balanced(size: int, count: int) -> list[int]:
    """Return `count` numbers whose product is `size`, as nearly equal as its prime factors let them be, rising."""
    found, prime, primes = [1] * count, 2, []
    while size > 1:
        while size % prime == 0:
            primes.append(prime)
            size //= prime
        prime = prime + 1 if prime * prime <= size else max(size, 2)
    for each in reversed(primes):
        found[found.index(min(found))] *= each
    return sorted(found)


def bonds(rows: Sequence[int], columns: Sequence[int], rank: int) -> list[int]:
    """Return the ranks between cores: `rank`, or all there can be."""
    sizes = [row * column for row, column in zip(rows, columns, strict=True)]
    return [min(rank, math.prod(sizes[:k]), math.prod(sizes[k:])) for k in range(1, len(sizes))]


def cost(rows: Sequence[int], columns: Sequence[int], rank: int) -> int:
    """Return the weights of the cores."""
    ranks = [1, *bonds(rows, columns, rank), 1]
    return sum(ranks[k] * rows[k] * columns[k] * ranks[k + 1] for k in range(len(rows)))


def _rank(rows: Sequence[int], columns: Sequence[int], left: Fraction) -> int:
    """Return the largest rank whose cores have fewer weights than are left, 1 at least."""
    low, high = 1, math.prod(rows)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(rows, columns, middle) < left else (low, middle - 1)
    return low


@torch.no_grad()
def tensor_train(
    weight: Tensor, rows: Sequence[int], columns: Sequence[int], rank: int, bias: nn.Parameter | None
) -> TensorTrainLinear:
    """Return the layer of TT-SVD. weight: (product of rows, product of columns)."""
    count = len(rows)
    pairs = [axis for k in range(count) for axis in (k, count + k)]
    rest = weight.detach().double().reshape(*rows, *columns).permute(pairs)
    ranks = [1, *bonds(rows, columns, rank), 1]
    with torch.device("meta"):
        made = TensorTrainLinear(columns, rows, ranks[1:-1], bias is not None)
    for k, core in enumerate(made.cores):
        rest = rest.reshape(ranks[k] * rows[k] * columns[k], -1)
        if k < count - 1:
            found = decomposed(rest[None])
            left = found.left[0, :, : ranks[k + 1]].double()
            rest = left.T @ rest
        else:
            left = rest
        tensor = left.reshape(ranks[k], rows[k], columns[k], ranks[k + 1]).permute(1, 3, 0, 2)
        assert isinstance(core, nn.Linear)
        core.weight = nn.Parameter(tensor.reshape(core.out_features, core.in_features).float().contiguous())
    made.bias = bias
    return made
