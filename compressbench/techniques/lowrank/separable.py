"""Convolutions of d x d become one of d x 1 and one of 1 x d, the nearest there are (Tai et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import value_by_layer
from compressbench.techniques.lowrank._canonical import canonical
from compressbench.techniques.lowrank._factored import factorable, grows, leave, pointwise, put
from compressbench.techniques.lowrank._norms import identical, settle
from compressbench.techniques.lowrank._one_sided import across, down, obstacle
from compressbench.techniques.lowrank._ranks import check_ranks, chosen_rank, rank_by_ratio
from compressbench.techniques.lowrank._truncation import decomposed

SCHEMES = ("channels", "filters")
NORMS = ("none", "between", "all")
ITERATIONS = 100


@dataclass(frozen=True)
class SeparableFactorization(Technique):
    """Put K filters of d x 1 over all channels, and N of 1 x d over these, in the place of N filters of d x d.

    Source: Tai et al. 2016, "Convolutional Neural Networks with Low-rank Regularization", section 2: the weights as a
    matrix of (C d) x (d N), whose singular value decomposition, cut to K, gives both filters at once and is the
    global minimum of the error. Each group of a convolution in groups is one. The paper trains the decomposed network
    with a batch norm after every convolution (section 2.2): `batch_norm`.
    Jaderberg et al. 2014, "Speeding up Convolutional Neural Networks with Low Rank Expansions", looks for the same
    filters by descent (their scheme 2). scheme `filters` is their scheme 1: each input channel has K filters of d x d,
    each a product of a column and a row, and every output filter is a combination of those of all channels.

    targets, ignore: which convolutions. scheme: `channels` (Tai) or `filters`. rank: K of each; null: by energy.
    energy: fraction of the sum of squared singular values that stays, for `channels`; null: by ratio. ratio: fraction
    of a layer's weights that goes at least, 0 or more and less than 1. ranks: other ranks for some layers, by selector.
    batch_norm: `none`, `between` the two, or `all`: between and after. It changes nothing at first: its statistics are
    of calibration_images training images, its scale and shift undo them.

    A layer whose factors would have no fewer weights than it is left out.
    We differ: scheme `filters` minimises the error of the filters by alternating least squares.
    """

    targets: list[str]
    ignore: list[str]
    scheme: str
    rank: int | None
    energy: float | None
    ratio: float
    ranks: dict[str, int]
    batch_norm: str
    calibration_images: int

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"factored"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        check_ranks(self.rank, self.energy, self.ratio, self.ranks)
        for key, allowed in (("scheme", SCHEMES), ("batch_norm", NORMS)):
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key} is {getattr(self, key)!r}; {suggestion(getattr(self, key), allowed)}")
        if self.scheme == "filters" and self.energy is not None:
            raise ValueError(f"energy is {self.energy}, but scheme filters has no singular values; give rank or ratio")
        if self.calibration_images < 1:
            raise out_of_range("calibration_images", self.calibration_images, "1 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = factorable(subject, self.targets, self.ignore, obstacle)
        given = value_by_layer(subject.model, self.targets, self.ignore, self.rank, self.ranks, "ranks")
        norms: list[str] = []
        with context.progress.task("factors", len(names)) as advance:
            for name in names:
                parts = self._parts(subject, name, given[name], context)
                if parts:
                    put(subject, name, parts)
                    norms += [f"{name}.{part}" for part in parts if part.startswith("norm")]
                advance(1, name)
        settle(subject.model, norms, context, self.calibration_images)
        return subject

    def _parts(self, subject: Subject, name: str, given: int | None, context: Context) -> dict[str, nn.Module]:
        """Return what takes the place of a layer; nothing if it is left."""
        layer = subject.model.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        (height, width), weights = layer.kernel_size, layer.weight.numel()
        if self.scheme == "filters":
            cost = layer.in_channels * (height + width) + weights // (height * width)
            rank = rank_by_ratio(weights, cost, self.ratio) if given is None else given
        else:
            cost = layer.in_channels * height + layer.out_channels * width
            found = cache(lambda: decomposed(_matrices(layer)))
            rank = chosen_rank(given, self.energy, self.ratio, weights, cost, lambda: found().values)
        if why := grows(weights, rank * cost, str(rank)):
            leave(subject, name, self.targets, why)
            return {}
        if self.scheme == "filters":
            vertical, horizontal, *others = _by_channel(layer, rank, context)
        else:
            left, right = found().truncated(rank)
            vertical, horizontal, *others = _over_channels(layer, left, right)
        middle = {"norm": identical(vertical.out_channels, layer.weight.device)} if self.batch_norm != "none" else {}
        after = {"norm_after": identical(layer.out_channels, layer.weight.device)} if self.batch_norm == "all" else {}
        combine = dict(zip(["combine"], others, strict=False))
        return {"vertical": vertical, **middle, "horizontal": horizontal, **combine, **after}


def _matrices(layer: nn.Conv2d) -> Tensor:
    """Return the weights as (groups, channels times rows, columns times filters)."""
    kernels: Tensor = layer.weight.detach().unflatten(0, (layer.groups, -1))  # type: ignore[no-untyped-call]
    return kernels.permute(0, 2, 3, 4, 1).flatten(3).flatten(1, 2)


def _over_channels(layer: nn.Conv2d, left: Tensor, right: Tensor) -> list[nn.Conv2d]:
    height, width = layer.kernel_size
    first = left.mT.unflatten(2, (-1, height)).flatten(0, 1)  # (groups times rank, channels of a group, rows)
    second = right.unflatten(2, (width, -1)).permute(0, 3, 1, 2).flatten(0, 1)  # (filters, rank, columns)
    return [down(layer, first, layer.groups), across(layer, second, layer.groups, layer.bias)]


def _by_channel(layer: nn.Conv2d, rank: int, context: Context) -> list[nn.Conv2d]:
    """Return the convolutions of each channel by itself, down and across, and the one that combines them."""
    kernels = layer.weight.detach().unflatten(0, (layer.groups, -1))
    found = [
        canonical(kernels[group, :, channel], rank, ITERATIONS, context.generator)
        for group in range(layer.groups)
        for channel in range(kernels.shape[2])
    ]
    share, rows = kernels.shape[2], kernels.shape[1]
    mixed = torch.stack([each[0] for each in found]).unflatten(0, (layer.groups, share))
    combine = mixed.permute(0, 2, 1, 3).reshape(layer.groups * rows, share * rank)
    columns, lines = (torch.cat([each[mode].mT for each in found])[:, None] for mode in (1, 2))
    return [
        down(layer, columns, layer.in_channels),
        across(layer, lines, layer.in_channels * rank),
        pointwise(combine, layer.bias, layer.groups),
    ]
