"""What there is to choose from, what one of them is, and what completes a word of the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from compressbench.core.errors import PlanError, suggestion
from compressbench.planning import catalogue, doors
from compressbench.planning.catalogue import Entry as Entry

if TYPE_CHECKING:
    from compressbench.planning.describe import Description as Description
    from compressbench.planning.technique_table import Row as Row

KINDS: dict[str, Callable[[], list[Entry]]] = {
    "recipes": catalogue.recipes,
    "techniques": catalogue.techniques,
    "models": catalogue.models,
    "datasets": catalogue.datasets,
    "metrics": catalogue.metrics,
    "training": catalogue.training,
    "launchers": catalogue.launchers,
}


class Found(NamedTuple):
    """What a name stands for. techniques: those of a family. below: the rows of a table. recipe: its file.

    group, file: of a training or a launcher.

    descriptions: what techniques, networks, datasets and metrics of this name are.
    """

    name: str
    techniques: list[Row]
    below: list[Entry]
    recipe: Path | None
    group: str
    file: Path | None
    descriptions: Iterable[Description]


def entries(kind: str) -> list[Entry]:
    """Return what there is of a kind, each with the first comment line of its file; of the networks of another package
    only how many there are."""
    return KINDS[kind]() + ([Entry(*line) for line in doors.summaries()] if kind == "models" else [])


def techniques(family: str | None = None) -> list[Row]:
    """Return every technique, or those of a family, by family and year; none if there is no such family."""
    from compressbench.planning import technique_table

    return [row for row in technique_table.rows() if family in (None, row.family)]


def families() -> list[Entry]:
    """Return the families of techniques, each with how many it has and what they do."""
    from compressbench.planning import technique_table

    return [Entry(each.name, f"{len(each.rows):>2}  {each.about}") for each in technique_table.families()]


def as_markdown(what: str | None) -> str:
    """Return the techniques, those of a family, or the families as a table in Markdown. PlanError for another name."""
    from compressbench.planning import technique_table
    from compressbench.reporting.page import Grid
    from compressbench.reporting.render import markdown_grid

    found = technique_table.families()
    if what == "families":
        grid = Grid("", ["family", "what it does", "techniques, by year"], left=3)
        for family in found:
            named = (row.name.rpartition("/")[2] + (f" ({row.paper})" if row.paper else "") for row in family.rows)
            grid.rows.append([family.name, family.about, ", ".join(named)])
        return markdown_grid(grid)
    grid = Grid("", list(HEADINGS), left=len(HEADINGS))
    grid.rows = [cells(row) for family in found for row in family.rows if what in ("techniques", family.name)]
    if not grid.rows:
        near = suggestion(what or "", ["families", "techniques", *(family.name for family in found)])
        raise PlanError.of("--format", f"markdown is of techniques, of {what!r} there is no such table; {near}")
    return markdown_grid(grid)


HEADINGS = ("technique", "paper", "needs", "what it does", "tables")


def cells(row: Row) -> list[str]:
    """Return what stands of a technique under `HEADINGS`."""
    return [row.name, row.paper or "-", ", ".join(row.needs) or "-", row.summary, ", ".join(row.tables) or "-"]


def look_up(what: str) -> Found:
    """Return what a name stands for. PlanError, with the nearest name, for one that is not there."""
    # `inq` is enough for `quantization/inq`
    what = next((each.name for each in catalogue.techniques() if each.name.rpartition("/")[2] == what), what)
    if (behind := doors.split(what)) is not None and all(entry.name != what for entry in catalogue.models()):
        return Found(what, [], _behind(*behind), None, "", None, [])
    everything = [entry for kind in KINDS for entry in KINDS[kind]()]
    family = techniques(what)
    here = {row.name for row in family}
    below = [entry for entry in everything if entry.name.startswith(f"{what}/") and entry.name not in here]
    if all(entry.name != what for entry in everything):
        if family or below:
            return Found(what, family, below, None, "", None, [])
        names = {entry.name for entry in everything} | {entry.name.rpartition("/")[0] for entry in everything}
        raise PlanError.of("list", f"there is no {what!r}; {suggestion(what, {*names, *KINDS, 'families'} - {''})}")
    from compressbench.planning.catalogue import group_file
    from compressbench.planning.describe import descriptions  # imports torch

    recipe = catalogue.recipe_files(catalogue.recipe_folders()).get(what)
    files = {group: group_file(group, what) for group in ("training", "launcher")}
    group, file = next(((group, file) for group, file in files.items() if file), ("", None))
    return Found(what, family, below, recipe, group, file, descriptions(what))


def _behind(door: str, wanted: str) -> list[Entry]:
    """Return the networks behind a door that begin so, or the one of this name. PlanError if there is none."""
    found = [name for name in doors.names(door) if name.startswith(wanted)]
    if not found:
        doors.node(f"{door}/{wanted}")
    summary = f"model={door}/{wanted}, with random weights; model.options.KEY=VALUE is passed on to it"
    return [Entry(f"{door}/{name}", summary if name == wanted else "") for name in found]


def offer(line: str, unfinished: str, verbs: list[str]) -> list[str]:
    """Return what bash may put in place of `unfinished`, with which `line` ends."""
    from compressbench.planning import complete

    return complete.offer(line, unfinished, verbs)
