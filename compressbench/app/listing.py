"""What there is to choose from, what one of them is, and what completes a word of the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from compressbench.core.errors import PlanError, suggestion
from compressbench.planning import catalogue
from compressbench.planning.catalogue import Entry as Entry

if TYPE_CHECKING:
    from compressbench.planning.describe import Description as Description

KINDS: dict[str, Callable[[], list[Entry]]] = {
    "recipes": catalogue.recipes,
    "techniques": catalogue.techniques,
    "models": catalogue.models,
    "datasets": catalogue.datasets,
    "metrics": catalogue.metrics,
    "training": catalogue.training,
}


class Found(NamedTuple):
    """What a name stands for. below: the rows of a table, the techniques of a family. recipe, training: its file.

    descriptions: what techniques, networks, datasets and metrics of this name are.
    """

    name: str
    below: list[Entry]
    recipe: Path | None
    training: Path | None
    descriptions: Iterable[Description]


def entries(kind: str) -> list[Entry]:
    """Return what there is of a kind, each with the first comment line of its file."""
    return KINDS[kind]()


def look_up(what: str) -> Found:
    """Return what a name stands for. PlanError, with the nearest name, for one that is not there."""
    # `inq` is enough for `quantization/inq`
    what = next((each.name for each in catalogue.techniques() if each.name.rpartition("/")[2] == what), what)
    everything = [entry for kind in KINDS for entry in entries(kind)]
    below = [entry for entry in everything if entry.name.startswith(f"{what}/")]
    if all(entry.name != what for entry in everything):
        if below:
            return Found(what, below, None, None, [])
        names = {entry.name for entry in everything} | {entry.name.rpartition("/")[0] for entry in everything}
        raise PlanError.of("list", f"there is no {what!r}; {suggestion(what, {*names, *KINDS} - {''})}")
    from compressbench.planning.catalogue import group_file
    from compressbench.planning.describe import descriptions  # imports torch

    recipe = catalogue.recipe_files(catalogue.recipe_folders()).get(what)
    return Found(what, below, recipe, group_file("training", what), descriptions(what))


def offer(line: str, unfinished: str, verbs: list[str]) -> list[str]:
    """Return what bash may put in place of `unfinished`, with which `line` ends."""
    from compressbench.planning import complete

    return complete.offer(line, unfinished, verbs)
