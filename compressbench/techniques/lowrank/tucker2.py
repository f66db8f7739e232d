"""Convolutions become three, of ranks that variational Bayes finds (Kim et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import layers_of, value_by_layer
from compressbench.techniques.lowrank._factored import (
    convolution,
    factorable,
    grows,
    leave,
    matrices,
    of_groups,
    pointwise,
    put,
    two_factors,
)
from compressbench.techniques.lowrank._ranks import check_ratio, rank_by_ratio
from compressbench.techniques.lowrank._truncation import decomposed
from compressbench.techniques.lowrank._vbmf import vbmf_rank

Ranks = tuple[int, ...]
STEADY = 1e-9
"""HOOI ends when a round adds less than this fraction to the energy of the core."""


@dataclass(frozen=True)
class Tucker2Factorization(Technique):
    """Put convolutions of 1 x 1, of d x d with fewer channels, and of 1 x 1 in the place of a convolution.

    Source: Kim et al. 2016, "Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile
    Applications", sections 3.1 and 3.2. Ranks by the global analytic solution of variational Bayesian matrix
    factorization (`_vbmf`) of the kernel's unfoldings along its input and output channels; then a Tucker decomposition
    of these two modes (higher-order orthogonal iteration). Of the first convolution, whose inputs are few,
    the outputs alone, and of linear layers and kernels of 1 x 1, by singular values: two layers.

    targets, ignore: which layers. ratio: null: ranks by VBMF; else the fraction of a layer's weights that goes at
    least, 0 or more and less than 1, the ranks in the ratio of the channels. ranks: other ranks for some layers, by
    selector: [input rank, output rank] of a convolution into three, [rank] of what becomes two. iterations: of HOOI.

    A layer whose factors would have no fewer weights than it, or in which VBMF sees nothing but noise, is left out.
    We differ: a convolution in groups has the same ranks in each group, the largest that VBMF finds in one.
    """

    targets: list[str]
    ignore: list[str]
    ratio: float | None
    ranks: dict[str, list[int]]
    iterations: int

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"factored"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        if self.ratio is not None:
            check_ratio(self.ratio)
        else:  # counts hang on trained weights then
            object.__setattr__(self, "predictable", False)
        for selector, ranks in self.ranks.items():
            if not 1 <= len(ranks) <= 2 or min(ranks) < 1:
                raise out_of_range(f"ranks.{selector}", ranks, "one or two numbers, 1 or more")
        if self.iterations < 1:
            raise out_of_range("iterations", self.iterations, "1 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = factorable(subject, self.targets, self.ignore, lambda layer: "")
        nothing: list[int] = []
        given = value_by_layer(subject.model, self.targets, self.ignore, nothing, self.ranks, "ranks")
        first = next(iter(layers_of(subject.model, ["conv"])), None)
        with context.progress.task("factors", len(names)) as advance:
            for name in names:
                self._factor(subject, name, tuple(given[name]), name == first)
                advance(1, name)
        return subject

    def _factor(self, subject: Subject, name: str, given: Ranks, is_first: bool) -> None:
        layer = subject.model.get_submodule(name)
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        modes = 1 if is_first or isinstance(layer, nn.Linear) or layer.kernel_size == (1, 1) else 2
        if given and len(given) != modes:
            raise ValueError(f"ranks of {name} are {list(given)}; it becomes {modes + 1} layers, which have {modes}")
        kernels = grouped(layer)
        ranks = given or (found_ranks(kernels, modes) if self.ratio is None else ratio_ranks(layer, modes, self.ratio))
        if not min(ranks):
            return leave(subject, name, self.targets, "VBMF sees nothing but noise in its weights")
        if why := grows(layer.weight.numel(), cost(layer, ranks), " and ".join(map(str, ranks))):
            return leave(subject, name, self.targets, why)
        if modes == 1:
            parts = two_factors(layer, *decomposed(matrices(layer)).truncated(ranks[0]), layer.bias)
        else:
            assert isinstance(layer, nn.Conv2d)
            parts = three_factors(layer, *tucker(kernels, ranks, self.iterations))
        return put(subject, name, parts)


def grouped(layer: nn.Conv2d | nn.Linear) -> Tensor:
    """Return the weights, (groups, filters of a group, channels of a group, height, width)."""
    weight: Tensor = layer.weight.detach()
    kernel = layer.kernel_size if isinstance(layer, nn.Conv2d) else (1, 1)
    return weight.reshape(of_groups(layer), -1, weight.shape[1], *kernel)


def found_ranks(kernels: Tensor, modes: int) -> Ranks:
    """Return the ranks that VBMF finds: along the input and the output channels, or along the outputs alone.

    kernels: as `grouped` returns them. 0 where all looks like noise.
    """
    unfolded = [kernels.flatten(2)] if modes == 1 else [kernels.transpose(1, 2).flatten(2), kernels.flatten(2)]
    return tuple(
        max(vbmf_rank(values, *matrix.shape[1:]) for values in decomposed(matrix).values.double().cpu().numpy())
        for matrix in unfolded
    )


def ratio_ranks(layer: nn.Conv2d | nn.Linear, modes: int, ratio: float) -> Ranks:
    """Return the largest ranks, in the ratio of the channels, that leave less than 1 - ratio of the weights."""
    rows, columns = grouped(layer).shape[1:3]
    if modes == 1:
        return (rank_by_ratio(layer.weight.numel(), cost(layer, (1,)), ratio),)
    left = layer.weight.numel() * (1 - Fraction(str(ratio)))
    pairs = ((max(1, round(columns * rank / rows)), rank) for rank in range(rows, 0, -1))
    return next((ranks for ranks in pairs if cost(layer, ranks) < left), (1, 1))


def cost(layer: nn.Conv2d | nn.Linear, ranks: Ranks) -> int:
    """Return the weights of the factors."""
    groups, rows, columns, height, width = grouped(layer).shape
    if len(ranks) == 1:
        return groups * ranks[0] * (rows + columns * height * width)
    inner, outer = ranks
    return groups * (columns * inner + inner * outer * height * width + outer * rows)


def tucker(kernels: Tensor, ranks: Ranks, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the factors of the input channels (groups, channels, rank), of the output channels (groups, filters,
    rank), and the core (groups, output rank, input rank, height, width), float64. kernels: as `grouped` returns them.
    """
    values = kernels.double().flatten(3)  # (groups, filters, channels, places)
    inner, outer = ranks
    inputs, before = _leading(values.transpose(1, 2), inner), torch.tensor(0.0)
    for _ in range(iterations):
        outputs = _leading(torch.einsum("gncs,gca->gnas", values, inputs), outer)
        reduced = torch.einsum("gncs,gnb->gbcs", values, outputs)
        inputs = _leading(reduced.transpose(1, 2), inner)
        core = torch.einsum("gbcs,gca->gbas", reduced, inputs)
        energy = core.square().sum()
        if bool(energy - before <= STEADY * energy):
            break
        before = energy
    return inputs, outputs, core.unflatten(3, kernels.shape[3:])


def _leading(values: Tensor, rank: int) -> Tensor:
    """Return the first left singular vectors of each tensor, unfolded along its first mode, (groups, size, rank)."""
    matrices = values.flatten(2)
    vectors: Tensor = torch.linalg.eigh(matrices @ matrices.mT)[1].flip(2)[:, :, :rank]
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return vectors * torch.where(largest < 0, -1.0, 1.0)


def three_factors(layer: nn.Conv2d, inputs: Tensor, outputs: Tensor, core: Tensor) -> dict[str, nn.Module]:
    groups = layer.groups
    how = (layer.stride, layer.padding, layer.dilation, groups, layer.padding_mode)
    return {
        "reduce": pointwise(inputs.mT.flatten(0, 1), None, groups),
        "core": convolution(core.flatten(0, 1), None, *how),
        "expand": pointwise(outputs.flatten(0, 1), layer.bias, groups),
    }
