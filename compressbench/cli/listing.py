"""`compressbench list`: what there is to choose from, and what one of them is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from compressbench.core.errors import PlanError, suggestion
from compressbench.planning import catalogue

if TYPE_CHECKING:
    from compressbench.planning.describe import Description

KINDS: dict[str, Callable[[], list[catalogue.Entry]]] = {
    "recipes": catalogue.recipes,
    "techniques": catalogue.techniques,
    "models": catalogue.models,
    "datasets": catalogue.datasets,
    "metrics": catalogue.metrics,
    "training": catalogue.training,
}
USE = {
    "technique": "`stages: {{STAGE: {{technique: {name}, KEY: VALUE}}}}`; on the command line stages.STAGE.KEY=VALUE",
    "model": "`model: {{name: {name}, KEY: VALUE}}`; on the command line model={name} model.KEY=VALUE",
    "dataset": "`dataset: {{name: {name}, KEY: VALUE}}`; on the command line dataset={name} dataset.KEY=VALUE",
    "metric": "`metrics: [accuracy, {name}]`, or `metrics: [accuracy, {{{name}: {{KEY: VALUE}}}}]`",
}
"""How an entry of each group stands in a recipe."""


def print_list(what: str | None) -> int:
    """Print every kind, one kind, the rows of a table, the techniques of a family, or what an entry is.

    PlanError, with the nearest name, for anything else.
    """
    if what is None or what in KINDS:
        for kind in KINDS if what is None else [what]:
            if what is None:
                print(f"{kind}:")
            _print_entries(KINDS[kind](), indent="  " if what is None else "")
        return 0
    # `inq` is enough for `quantization/inq`
    what = next((each.name for each in catalogue.techniques() if each.name.rpartition("/")[2] == what), what)
    everything = [entry for entries in KINDS.values() for entry in entries()]
    below = [entry for entry in everything if entry.name.startswith(f"{what}/")]
    found = [entry.name for entry in everything if entry.name == what]
    if not below and not found:
        names = {entry.name for entry in everything} | {entry.name.rpartition("/")[0] for entry in everything}
        raise PlanError.of("list", f"there is no {what!r}; {suggestion(what, {*names, *KINDS} - {''})}")
    _print_entries(below)
    if found:
        _print_recipe(what)
        _print_training(what)
        _print_descriptions(what)
    return 0


def _print_entries(entries: list[catalogue.Entry], indent: str = "") -> None:
    """Print a line an entry, with the first comment line of its file."""
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        print(f"{indent}{entry.name:<{width}}  {entry.summary}")


def _print_recipe(name: str) -> None:
    file = catalogue.recipe_files(catalogue.recipe_folders()).get(name)
    if file is not None:
        print(f"recipe {name}: {file}\n\n{file.read_text(encoding='utf-8')}")
        print(
            f"compressbench check recipe={name}   says what it will do; `--cfg job` behind `run` shows all its values"
        )


def _print_training(name: str) -> None:
    file = catalogue.group_file("training", name)
    if file is not None:
        print(f"training {name}: {file}\n\n{file.read_text(encoding='utf-8')}")
        print(f"use: `training: {name}`; on the command line training={name}")


def _print_descriptions(name: str) -> None:
    from compressbench.planning.describe import descriptions  # imports torch

    for found in descriptions(name):
        _print_description(found)


def _print_description(found: Description) -> None:
    from rich.table import Table
    from rich.text import Text

    from compressbench.cli.job import console

    printer = console()
    printer.print(Text.assemble((f"{found.group} {found.entry.name}", "bold"), f": {found.entry.summary}"))
    if found.text:
        printer.print(Text(found.text))
    if found.paper:
        printer.print(Text(f"paper: {found.paper}"))
    printer.print(Text(f"use: {USE[found.group].format(name=found.entry.name)}", style="dim"))
    if not found.parameters:
        printer.print("no parameters")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("parameter", "type", "default", "allowed", "meaning"):
        table.add_column(column, overflow="fold")
    for parameter in found.parameters:
        table.add_row(*(Text(cell) for cell in parameter))
    printer.print(table)
