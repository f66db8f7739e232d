"""What filter pruners share: from scores to a smaller network. The criterion is each technique's own.

A filter's channel goes wherever it flows: its weights, bias and batch norm (shift included), and whatever reads it.
Depthwise convolutions follow the layer before them. Where the outputs of several layers are added to each other, a
channel can only go from all of them: its score is the sum of its scores in those layers, so they must all be selected,
with one ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.subject import Skipped, Subject
from compressbench.techniques._layers import check_ratios, leave_out, names_in, ratio_by_layer
from compressbench.techniques.pruning._groups import Graph, Group
from compressbench.techniques.pruning._removal import removal, remove

Score = Callable[[nn.Module], Tensor]
"""Scores of a layer's filters, from its original weights: float, (filters,). The smallest go first."""
SCOPES = ("per_layer", "global")
"""Which filters compete with each other."""


def share(size: int, ratio: float) -> Fraction:
    """Return size (1 - ratio), exact: 0.3 is three tenths, whatever the nearest binary fraction is."""
    return size * (1 - Fraction(str(ratio)))


def fitting(kept: int, group: Group, round_to: int) -> int:
    """Return how many filters of the group stay if `kept` are wanted: at least 1 of each block.

    Rounded up to a multiple of `round_to` if there are so many, then down to a multiple of the blocks.
    """
    kept = min(group.size, -(-max(1, kept) // round_to) * round_to)
    return max(1, kept // group.blocks) * group.blocks


def check_round_to(round_to: int) -> None:
    """Raise ValueError for less than 1."""
    if round_to < 1:
        raise out_of_range("round_to", round_to, "1 (off) or more")


def weakest(scores: Tensor, kept: int, group: Group, round_to: int, skipped: list[Skipped]) -> set[int]:
    """Return the filters to remove so that `fitting(kept)` stay: the smallest scores, ties by index.

    Equally many go from each block. A group that would be emptied, or that rounding leaves whole, is reported in
    `skipped`. Raises ValueError for scores that are not numbers.
    """
    members, stay = ", ".join(group.members), fitting(kept, group, round_to)
    if scores.isnan().any():
        raise ValueError(f"a weight of {members} is not a number; the network cannot be pruned")
    if kept < group.blocks:
        what = "none" if group.blocks == 1 else f"{kept}, fewer than the {group.blocks} groups of a convolution"
        skipped.append(Skipped(members, f"of {group.size} filters {what} would stay; a layer is never emptied"))
    elif kept < stay == group.size:
        skipped.append(Skipped(members, f"rounded up to a multiple of {round_to}, all of its {stay} filters stay"))
    size = group.size // group.blocks
    gone = size - stay // group.blocks
    order = torch.argsort(scores.detach().cpu().reshape(group.blocks, size), dim=1, stable=True)[:, :gone]
    return set((order + torch.arange(group.blocks)[:, None] * size).flatten().tolist())


class ByRatio(Protocol):
    """The fields of a technique that says by ratios how many filters go."""

    @property
    def targets(self) -> list[str]: ...
    @property
    def ratio(self) -> float: ...
    @property
    def ratios(self) -> dict[str, float]: ...
    @property
    def ignore(self) -> list[str]: ...
    @property
    def round_to(self) -> int: ...


def check_by_ratio(fields: ByRatio) -> None:
    """Raise ValueError for a ratio or `round_to` out of range."""
    check_ratios(fields.ratio, fields.ratios)
    check_round_to(fields.round_to)


def check_scope(scope: str, ratios: Mapping[str, float]) -> None:
    """Raise ValueError for an unknown scope, or ratios of layers that all compete with each other."""
    if scope not in SCOPES:
        raise ValueError(f"scope is {scope!r}; {suggestion(scope, SCOPES)}")
    if scope == "global" and ratios:
        raise ValueError(f"ratios is {dict(ratios)!r}; with scope global all filters compete and there is one ratio")


def prune_by_ratio(
    subject: Subject, context: Context, fields: ByRatio, score: Score, scope: str = "per_layer"
) -> Subject:
    """Remove the filters that score lowest, of each selected layer or of all together, and return the subject.

    Raises ValueError as `asked` does.
    """
    graph = Graph(subject.model, context.example)
    groups = asked(subject, graph, fields)
    scores = [group_scores(subject.model, group, score) for group, _ in groups]
    return finish(subject, context, lowest(groups, scores, fields.round_to, scope, subject.skipped))


def asked(
    subject: Subject,
    graph: Graph,
    fields: ByRatio,
    done: Fraction = Fraction(1),
    whole: Mapping[str, int] = MappingProxyType({}),
) -> list[tuple[Group, Fraction]]:
    """Return the groups that can be pruned, and n (1 - ratio) of each: how many of its n filters should stay.

    done: the part of what has to go in the end that goes now. whole: n by name of a layer, if it was more once.
    Raises ValueError as `ratio_by_layer` and `prunable` do, and for layers that share filters but not their ratio.
    """
    wanted = ratio_by_layer(subject.model, fields.targets, fields.ignore, fields.ratio, fields.ratios)
    found = []
    for group in prunable(graph, wanted, [*fields.targets, *fields.ignore], subject.skipped):
        ratios = sorted({wanted[name] for name in group.members})
        if len(ratios) > 1:
            raise ValueError(f"{', '.join(group.members)} share their filters, but their ratios differ: {ratios}")
        size = whole.get(group.members[0], group.size)
        found.append((group, size - done * (size - share(size, ratios[0]))))
    return found


def group_scores(model: nn.Module, group: Group, score: Score) -> Tensor:
    """Return the scores of a group's filters: the sum over its members."""
    return torch.stack([score(model.get_submodule(name)) for name in group.members]).sum(0)


def lowest(
    groups: list[tuple[Group, Fraction]], scores: list[Tensor], round_to: int, scope: str, skipped: list[Skipped]
) -> list[tuple[Group, set[int]]]:
    """Return the filters to remove of every group, those with the smallest scores.

    Of each group as many stay as asked, rounded down; with scope `global` that many of all together, and each group
    at least one.
    """
    kept = [int(stay) for _, stay in groups]
    if scope == "global" and groups:
        every = torch.cat([score.detach().cpu().float() for score in scores])
        gone = max(0, len(every) - int(sum(stay for _, stay in groups)))  # rounding may have taken more before
        stays = torch.ones(len(every), dtype=torch.bool)
        stays[every.argsort(stable=True)[:gone]] = False
        kept = [int(own.sum()) for own in stays.split([group.size for group, _ in groups])]
    return [
        (group, weakest(score, stay, group, round_to, skipped))
        for (group, _), score, stay in zip(groups, scores, kept, strict=True)
    ]


def prunable(graph: Graph, names: Iterable[str], selectors: Iterable[str], skipped: list[Skipped]) -> list[Group]:
    """Return the groups of these layers that can be pruned; the others are appended to `skipped` with the reason.

    Raises ValueError for a layer that cannot be pruned though a selector names it exactly, and for any depthwise
    convolution that one does, to keep it too.
    """
    names, exact, found = list(names), names_in(selectors), []
    for name in exact:
        if graph.follows(name):
            raise ValueError(f"{name} is a depthwise convolution; its filters go with those of the layer before it")
    for group in graph.groups(names):
        others = [name for name in group.members if name not in names]
        obstacle = group.obstacle
        if others and not obstacle:
            obstacle = f"it shares its filters with {', '.join(others)}, which are not selected"
        if not obstacle:
            found.append(group)
            continue
        for name in (name for name in group.members if name in names):
            leave_out(skipped, name, exact, "cannot be removed", obstacle)
    reached = {place.module for group in found for place in group.places}
    for name in names:
        if graph.follows(name) and name not in reached:
            skipped.append(Skipped(name, "it is a depthwise convolution, and what it reads keeps all its channels"))
    return found


def finish(subject: Subject, context: Context, chosen: list[tuple[Group, set[int]]]) -> Subject:
    """Remove the chosen filters. Raises ValueError as `check_promises` does."""
    check_promises(subject)
    remove(subject.model, removal(chosen), context.example)
    return subject


def check_promises(subject: Subject) -> None:
    """Raise ValueError if later training has promises that a removal would break."""
    if subject.constraints or subject.formats:
        raise ValueError("filters cannot be removed from a network with masks; prune filters before weights")
