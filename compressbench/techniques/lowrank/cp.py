"""Convolutions become four small ones by a canonical polyadic decomposition (Lebedev et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import value_by_layer
from compressbench.techniques.lowrank._canonical import canonical
from compressbench.techniques.lowrank._factored import factorable, grows, leave, pointwise, put
from compressbench.techniques.lowrank._one_sided import across, down, obstacle
from compressbench.techniques.lowrank._ranks import check_ranks, rank_by_ratio


@dataclass(frozen=True)
class CpFactorization(Technique):
    """Put convolutions of 1 x 1, d x 1, 1 x d and 1 x 1, the middle ones channel by channel, in the place of one.

    Source: Lebedev et al. 2015, "Speeding-up Convolutional Neural Networks Using Fine-tuned CP-Decomposition", sections
    3.1 and 3.2. The kernel, of four modes, becomes a sum of R products of vectors: R (C + d + d + N) weights.

    targets, ignore: which convolutions. rank: R of each; null: by ratio. ratio: fraction of a layer's weights that goes
    at least, 0 or more and less than 1. ranks: other ranks for some layers, by selector. iterations: of alternating
    least squares, at most.

    A layer whose factors would have no fewer weights than it is left out. A CP decomposition is hard to train on: the
    paper fine-tunes with small learning rates, and layer by layer.
    We differ: alternating least squares find it, not non-linear least squares, so it may be less near.
    """

    targets: list[str]
    ignore: list[str]
    rank: int | None
    ratio: float
    ranks: dict[str, int]
    iterations: int

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"factored"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        check_ranks(self.rank, None, self.ratio, self.ranks)
        if self.iterations < 1:
            raise out_of_range("iterations", self.iterations, "1 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = factorable(subject, self.targets, self.ignore, _obstacle)
        given = value_by_layer(subject.model, self.targets, self.ignore, self.rank, self.ranks, "ranks")
        with context.progress.task("factors", len(names)) as advance:
            for name in names:
                self._factor(subject, name, given[name], context)
                advance(1, name)
        return subject

    def _factor(self, subject: Subject, name: str, given: int | None, context: Context) -> None:
        layer = subject.model.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        weights, cost = layer.weight.numel(), sum(layer.weight.shape)
        rank = rank_by_ratio(weights, cost, self.ratio) if given is None else given
        if why := grows(weights, rank * cost, str(rank)):
            leave(subject, name, self.targets, why)
            return
        outputs, inputs, rows, columns = canonical(layer.weight, rank, self.iterations, context.generator)
        parts = {
            "reduce": pointwise(inputs.mT),
            "vertical": down(layer, rows.mT[:, None], rank),
            "horizontal": across(layer, columns.mT[:, None], rank),
            "expand": pointwise(outputs, layer.bias),
        }
        put(subject, name, parts)


def _obstacle(layer: nn.Module) -> str:
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        return "it is a convolution in groups"
    return obstacle(layer)
