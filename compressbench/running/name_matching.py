"""Which tensor of a checkpoint is which of a network: by name, else by order and shape where there is no doubt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Shape = tuple[int, ...]
Pair = tuple[str, str]
MOST_RENAMES = 5
"""As many are proposed at most."""


class Matching(NamedTuple):
    """theirs: the name in the checkpoint, by the name in the network. how: in words, for the record."""

    theirs: dict[str, str]
    how: str


def renamed(names: Sequence[str], rename: Mapping[str, str | None]) -> dict[str, str]:
    """Return what each name becomes: every part of it that begins as a key of `rename` says begins as its value. A name
    with such a part is left out where the value is None."""
    if not rename:
        return {name: name for name in names}
    longest_first = sorted(rename, key=len, reverse=True)
    pattern = re.compile(r"(?:^|(?<=\.))(" + "|".join(map(re.escape, longest_first)) + ")")
    kept = [name for name in names if not any(rename[found] is None for found in pattern.findall(name))]
    return {name: pattern.sub(lambda match: rename[match.group(1)] or "", name) for name in kept}


def aligned(names: Sequence[str], ours: Sequence[str]) -> dict[str, str]:
    """Return what each name becomes without the first part that all share (`model.`), or with the first part that all
    of `ours` share, if more of them are names of the network then."""
    candidates = [{name: name for name in names}]
    if len({name.partition(".")[0] for name in names}) == 1 and all("." in name for name in names):
        candidates.append({name: name.partition(".")[2] for name in names})
    if len({name.partition(".")[0] for name in ours}) == 1 and all("." in name for name in ours):
        candidates.append({name: f"{ours[0].partition('.')[0]}.{name}" for name in names})
    return max(candidates, key=lambda candidate: len(set(ours) & set(candidate.values())))


def match(theirs: Mapping[str, Shape], ours: Mapping[str, Shape], optional: frozenset[str], network: str) -> Matching:
    """Return which tensor is which; every one of `ours` but the `optional` ones gets one, and none is left.

    Both in their order. By name first; what then remains on both sides by order and shape, if there are as many of
    each and all of this holds: the shapes agree one by one; so do the last parts of the names (weight, bias,
    running_mean); all tensors of one module go to one module; and no module whose name the network knows too goes to
    one of another name. network: what it is called.

    ValueError, in five lines: how many fit, the first that does not, why not by order, and what to try.
    """
    by_name = {name: name for name in ours if theirs.get(name) == ours[name]}
    for name, shape in ours.items():
        if name in theirs and name not in by_name:
            raise ValueError(
                f"{len(by_name)} of {len(ours)} tensors fit {network} by name and shape\n    "
                f"of another shape: {name} is {_said(theirs[name])} in the file and {_said(shape)} in the network"
            )
    left = [name for name in theirs if name not in by_name]
    missing = [name for name in ours if name not in by_name and name not in optional]
    if not left and not missing:
        return Matching(by_name, f"all {len(by_name)} tensors by name")
    pairs = list(zip(left, missing, strict=False))
    doubt = _doubt(left, missing, pairs, theirs, ours)
    if not doubt:
        count = f"{len(by_name)} tensors by name, {len(pairs)}" if by_name else f"all {len(pairs)} tensors"
        return Matching(
            by_name | {own: other for other, own in pairs},
            f"{count} by order and shape (from {pairs[0][0]} as {pairs[0][1]} to {pairs[-1][0]} as {pairs[-1][1]})",
        )
    first_left = f"{left[0]} ({_said(theirs[left[0]])})" if left else "nothing"
    first_missing = f"{missing[0]} ({_said(ours[missing[0]])})" if missing else "nothing"
    raise ValueError(
        f"{len(by_name)} of {len(ours)} tensors fit {network} by name and shape\n    "
        f"the first of the file's {len(left)} others: {first_left}\n    "
        f"the first of the network's {len(missing)} without one: {first_missing}\n    "
        f"by order and shape they do not fit: {doubt}\n    "
        f"{_advice([*pairs, *zip(reversed(left), reversed(missing), strict=False)], theirs, ours)}"
    )


def _doubt(
    left: Sequence[str],
    missing: Sequence[str],
    pairs: Sequence[Pair],
    theirs: Mapping[str, Shape],
    ours: Mapping[str, Shape],
) -> str:
    """Return why order and shape do not say which is which, empty if they do."""
    if len(left) != len(missing):
        return f"{len(left)} are left of the file and {len(missing)} of the network"
    there: dict[str, str] = {}
    back: dict[str, str] = {}
    known = {part for name in ours for part in name.split(".")}
    for other, own in pairs:
        if theirs[other] != ours[own]:
            return f"{other} is {_said(theirs[other])}, {own} is {_said(ours[own])}"
        (their_module, _, their_last), (own_module, _, own_last) = other.rpartition("."), own.rpartition(".")
        if their_last != own_last:
            return f"{other} would be {own}"
        if there.setdefault(their_module, own_module) != own_module:
            return f"{their_module} would be {there[their_module]} and {own_module}"
        if back.setdefault(own_module, their_module) != their_module:
            return f"{own_module} would be {back[own_module]} and {their_module}"
        called, own_called = their_module.rpartition(".")[2], own_module.rpartition(".")[2]
        if called != own_called and called in known and not called.isdigit():
            return f"{other} would be {own}, but the network has a {called} too"
    return ""


def _advice(pairs: Sequence[Pair], theirs: Mapping[str, Shape], ours: Mapping[str, Shape]) -> str:
    """Return the last line: a renaming under which more fits, if there is one."""
    if not pairs:
        more = ", ".join(sorted({f"{name.partition('.')[0]}: null" for name in theirs.keys() - ours.keys()}))
        leave = f"leave out what is not needed: weights: {{file: FILE, rename: {{{more}}}}}"
        return leave if more else "the file is of a smaller network"
    rename: dict[str, str] = {}
    for other, own in pairs:
        for before, after in _changes(other, own):
            rename.setdefault(before, after)
    best: dict[str, str] = {}
    for before, after in rename.items():
        if len(best) < MOST_RENAMES and _fitting(theirs, ours, best | {before: after}) > _fitting(theirs, ours, best):
            best[before] = after
    if not best:
        return "say what is what: weights: {file: FILE, rename: {THEIRS: OURS}}; a part of a name, or its beginning"
    words = ", ".join(f"{before}: {after}" for before, after in best.items())
    count = _fitting(theirs, ours, best)
    return f"try weights: {{file: FILE, rename: {{{words}}}}}, under which {count} of {len(ours)} fit"


def _changes(other: str, own: str) -> list[Pair]:
    """Return the parts in which two names differ, without the digits they both end in."""
    parts, own_parts = other.split("."), own.split(".")
    if len(parts) != len(own_parts):
        return []
    found = []
    for before, after in zip(parts, own_parts, strict=True):
        if before != after and not before.isdigit():
            end = re.search(r"\d*$", before)
            digits = end.group() if end and after.endswith(end.group()) else ""
            found.append((before.removesuffix(digits), after.removesuffix(digits)))
    return [(before, after) for before, after in found if before and before != after]


def _fitting(theirs: Mapping[str, Shape], ours: Mapping[str, Shape], rename: Mapping[str, str]) -> int:
    return sum(ours.get(after) == theirs[before] for before, after in renamed(list(theirs), rename).items())


def _said(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "a scalar"
