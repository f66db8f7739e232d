"""What pruners share that look at the inputs of each layer, one layer after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.pattern_format import matrix_of
from compressbench.core.subject import Subject
from compressbench.techniques._layer_sums import obstacle
from compressbench.techniques._layers import WEIGHTED, check_ratios, usable, weights_of
from compressbench.techniques.pruning._patterns import Pattern, check_pattern, pattern_of
from compressbench.techniques.pruning._ranking import apportion
from compressbench.techniques.pruning._unstructured import keep_masked, kept_fractions


@dataclass(frozen=True)
class Layer:
    """A layer to prune. weight: as a matrix (rows, columns) in which neighbours of the pattern stand side by side; a
    copy. order: which columns of `weight.flatten(1)` these are. allowed: where weights may stay at all, None
    everywhere. count: how many are to stay. groups: of its rows that see other inputs, one after the other.
    """

    name: str
    weight: Tensor
    order: Tensor
    allowed: Tensor | None
    count: int
    groups: int


Prune = Callable[[Layer], tuple[Tensor, Tensor]]
"""Returns a layer's new weights, and where they stay."""


def check_calibrated(ratio: float, ratios: Mapping[str, float], pattern: str | None, examples: int) -> None:
    """Raise ValueError for numbers out of range, or a pattern that they contradict."""
    check_ratios(ratio, ratios)
    check_pattern(pattern, ratio, ratios, "per_layer")
    if examples < 1:
        raise out_of_range("examples", examples, "1 or more")


def prune_layers(technique: Any, subject: Subject, context: Context, prune: Prune) -> Subject:
    """Prune one layer after the other, in place, so that each sees what is pruned so far; masks keep the zeros.

    technique: has targets, ignore, ratio, ratios and pattern. Raises ValueError as `kept_fractions` does, and for a
    layer that `targets` names exactly though its inputs cannot be looked at; others of them are left out and reported.
    """
    pattern = pattern_of(technique.pattern)
    counts = dict(_counts(technique, subject, pattern))
    subject.model.eval()
    with context.progress.task("layers", len(counts)) as advance, torch.no_grad():
        for name, count in counts.items():
            weight = subject.model.get_parameter(f"{name}.weight")
            order, allowed = _columns(weight, pattern), subject.mask(f"{name}.weight")
            there = None if allowed is None else allowed.flatten(1)[:, order]
            groups = getattr(subject.model.get_submodule(name), "groups", 1)
            found, keep = prune(Layer(name, weight.flatten(1)[:, order], order, there, count, groups))
            back = order.argsort()
            kept = keep[:, back].reshape(weight.shape)
            weight.copy_(found[:, back].reshape(weight.shape).where(kept, 0))
            keep_masked(subject, f"{name}.weight", kept, pattern)
            advance(1, name)
    return subject


def in_groups(
    layer: Layer, prune: Callable[[Tensor, Tensor | None, int, int], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Return what `prune` makes of the rows of each group by themselves: its weights, where they may stay, how many,
    and its number."""
    rows = len(layer.weight) // layer.groups
    counts = apportion([Fraction(layer.count, layer.groups)] * layer.groups)
    allowed = [None] * layer.groups if layer.allowed is None else layer.allowed.split(rows)
    parts = zip(layer.weight.split(rows), allowed, counts, range(layer.groups), strict=True)
    weights, keeps = zip(*(prune(*part) for part in parts), strict=True)
    return torch.cat(weights), torch.cat(keeps)


def _columns(weight: Tensor, pattern: Pattern | None) -> Tensor:
    numbers = np.arange(weight[:1].numel()).reshape(weight[:1].shape)
    found = torch.from_numpy(np.ascontiguousarray(matrix_of(numbers)[0] if pattern else numbers.ravel()))
    return found.to(weight.device)


def _counts(technique: Any, subject: Subject, pattern: Pattern | None) -> Iterator[tuple[str, int]]:
    """Yield each layer that is pruned, and how many of its weights stay."""
    chosen = (technique.targets, technique.ignore, technique.ratio, technique.ratios)
    kept = kept_fractions(subject, *chosen, pattern, WEIGHTED)
    names = list(dict.fromkeys(weights_of(subject.model, kept).values()))  # a tied weight once
    obstacles = {name: obstacle(subject.model.get_submodule(name)) for name in names}
    found = usable(subject.skipped, obstacles, technique.targets, "cannot be pruned by what it is given")
    exact = [subject.model.get_parameter(f"{name}.weight").numel() * kept[name] for name in found]
    yield from zip(found, (max(count, 1) for count in apportion(exact)), strict=True)
