"""The axes of a recipe: what its `sweep:` says shall be run with several values, by `run -m`.

`sweep: {seed: [0, 1, 2], stages.prune.ratio: "range(0.1, 0.5, 0.2)"}`: keys as they are written on the command line;
lists, or text in Hydra's grammar. They are no part of any plan: a point is the run that the command line would give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product, zip_longest
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from compressbench.core.errors import Fault, PlanError
from compressbench.core.sweep import Point
from compressbench.planning.catalogue import recipe_folders
from compressbench.planning.compose import compose
from compressbench.planning.errors import for_people
from compressbench.planning.overrides import node_of, readable, written
from compressbench.planning.recipe import SWEEP, read_recipe

NOT_SWEPT = ("recipe", "outputs", "cache", "tracking", "hydra", "launcher", SWEEP)
"""Nodes that say what is swept, or where and how it is run."""
ALLOWED = "allowed: a list of one or more values, or text that stands for them, e.g. [0, 1, 2] or range(0,3)"

Axes = dict[str, list[str]]
"""By key, the values it shall have in turn, as they are written behind `KEY=`."""


def axes_of(overrides: Sequence[str], further: str | None = None) -> Axes:
    """Return the axes of the recipe that overrides name, but those that they write over. PlanError for a value that is
    no list.

    further: one more folder of config groups, with recipes below `recipes/`.
    """
    recipes = [text for text in readable(overrides) if text.startswith("recipe=")]
    if not recipes:
        return {}
    with for_people():
        parsed = OverridesParser.create().parse_override(recipes[-1])
    name = parsed.value()
    if not isinstance(name, str):
        return {}  # which composing says
    folders = recipe_folders([Path(further).expanduser().absolute() / "recipes"] if further else [])
    told = read_recipe(name, folders).get(SWEEP, {})
    over = [text.lstrip("+~").partition("=")[0] for text in overrides]
    found: Axes = {}
    faults: list[Fault] = []
    for key, given in told.items():
        try:
            values = _values(key, given)
        except PlanError as error:
            faults += error.faults
            continue
        if not any(key == each or key.startswith(f"{each}.") for each in over):
            found[key] = values
    if faults:
        raise PlanError([*faults, *axes_faults(overrides, found, further)])
    return found


def points_of(point: Point, axes: Axes) -> Iterator[Point]:
    """Yield the points that axes make of one, the last axis varying fastest."""
    for chosen in product(*axes.values()):
        values = dict(zip(axes, chosen, strict=True))
        words = [f"{key}={value}" for key, value in values.items()]
        yield Point([*point.overrides, *words], {**point.values, **values})


def axes_faults(overrides: Sequence[str], axes: Axes, further: str | None = None) -> list[Fault]:
    """Return what is wrong with the axes of a recipe: keys that there are not, values of another type.

    Of numbers of one type only the first is tried: whether the others are in range the points say, each for itself.
    """
    base: list[Fault] | None = None
    faults: list[Fault] = []
    telling = [[(key, value) for value in _telling(values)] for key, values in axes.items()]
    for together in zip_longest(*telling):
        tried = [pair for pair in together if pair]
        if not _faults(overrides, tried, further):
            continue
        base = _faults(overrides, [], further) if base is None else base
        for key, value in tried:
            own = [fault for fault in _faults(overrides, [(key, value)], further) if fault not in base]
            faults += [_of_axis(key, fault) for fault in own]
    return list(dict.fromkeys(faults))


def _of_axis(key: str, fault: Fault) -> Fault:
    """Return the fault of an axis: `sweep.stages.prune.rato: there is no such key; did you mean 'ratio'?`"""
    where = f"{SWEEP}.{key}"
    return Fault(where, fault.what if fault.where in ("", key) else f"{fault.where}: {fault.what}")


def _faults(overrides: Sequence[str], chosen: Sequence[tuple[str, str]], further: str | None) -> list[Fault]:
    from compressbench.planning.build import build  # imports torch

    words = [*overrides, *(f"{key}={value}" for key, value in chosen)]
    try:
        return build(compose(words, further), words)[1]
    except PlanError as error:
        return list(error.faults)


def _telling(values: Sequence[str]) -> list[str]:
    """Return the first whole number, the first other number, and all that is no number."""
    found: dict[str, str] = {}
    for value in values:
        found.setdefault(_kind(value), value)
    return list(found.values())


def _kind(value: str) -> str:
    for kind in (int, float):
        try:
            kind(value)
            return kind.__name__
        except ValueError:
            continue
    return value


def _values(key: str, given: Any) -> list[str]:
    where = f"{SWEEP}.{key}"
    if node_of(key) in NOT_SWEPT or not key.replace(".", "").replace("/", "").isidentifier():
        raise PlanError.of(where, "cannot be swept by a recipe; allowed: keys of a run, e.g. seed, stages.prune.ratio")
    if isinstance(given, list) and given:
        return [written(value) for value in given]
    if isinstance(given, str):
        try:
            parsed = OverridesParser.create().parse_override(f"{key}={given}")
            found = list(map(str, parsed.sweep_string_iterator())) if parsed.is_discrete_sweep() else []
        except (HydraException, ValueError) as error:
            raise PlanError.of(where, f"is {given!r}, which cannot be read; {ALLOWED}") from error
        if found:
            return found
    raise PlanError.of(where, f"is {given!r}; {ALLOWED}")
