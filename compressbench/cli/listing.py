"""`compressbench list`: what there is to choose from, and what one of them is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from compressbench.cli.parser import console, verb_parser
from compressbench.cli.technique_table import print_techniques

if TYPE_CHECKING:
    from compressbench.app.listing import Description, Entry, Found

USE = {
    "technique": "`stages: {{STAGE: {{technique: {name}, KEY: VALUE}}}}`; on the command line stages.STAGE.KEY=VALUE",
    "model": "`model: {{name: {name}, KEY: VALUE}}`; on the command line model={name} model.KEY=VALUE",
    "dataset": "`dataset: {{name: {name}, KEY: VALUE}}`; on the command line dataset={name} dataset.KEY=VALUE",
    "metric": "`metrics: [accuracy, {name}]`, or `metrics: [accuracy, {{{name}: {{KEY: VALUE}}}}]`",
}
"""How an entry of each group stands in a recipe."""


def list_names(words: list[str]) -> int:
    """`compressbench list [WHAT]`: every kind, one kind, the rows of a table, the techniques of a family, or what an
    entry is."""
    parser = verb_parser("list", "List what there is, the rows of a table, or what one of them is and its parameters.")
    parser.epilog = "examples: compressbench list techniques; list table5; list pruning; list pruning/magnitude"
    kinds = "recipes, techniques, families, models, datasets, metrics, training, launchers"
    what = f"{kinds}; a table; a family of techniques; any name of them"
    parser.add_argument("what", nargs="?", help=f"{what}; everything if left out")
    parser.add_argument("--format", choices=("rich", "markdown"), default="rich", help="of techniques and families")
    given = parser.parse_args(words)
    from compressbench.app import listing

    if given.format == "markdown":
        print(listing.as_markdown(given.what))
    elif given.what is None:
        for kind, found in {kind: listing.entries(kind) for kind in listing.KINDS}.items():
            print(f"{kind}:")
            _print_entries(found, indent="  ")
    elif given.what == "families":
        _print_entries(listing.families())
    elif given.what == "techniques":
        print_techniques(listing.techniques())
    elif given.what in listing.KINDS:
        _print_entries(listing.entries(given.what))
    else:
        _print_found(listing.look_up(given.what))
    return 0


def _print_entries(found: Sequence[Entry], indent: str = "") -> None:
    """Print a line an entry, with the first comment line of its file; where there are plugins, with whose it is."""
    width = max((len(entry.name) for entry in found), default=0)
    homes = [entry.plugin or "compressbench" for entry in found]
    longest = max(map(len, homes)) if any(entry.plugin for entry in found) else 0
    for entry, home in zip(found, homes, strict=True):
        whose = f"  {home:<{longest}}" if longest else ""
        print(f"{indent}{entry.name:<{width}}{whose}  {entry.summary}")


def _print_found(found: Found) -> None:
    if found.techniques:
        print_techniques(found.techniques)
    _print_entries(found.below)
    if found.recipe is not None:
        print(f"recipe {found.name}: {found.recipe}\n\n{found.recipe.read_text(encoding='utf-8')}")
        shows = "`--cfg job` behind `run` shows all its values"
        print(f"compressbench check recipe={found.name}   says what it will do; {shows}")
    if found.file is not None:
        print(f"{found.group} {found.name}: {found.file}\n\n{found.file.read_text(encoding='utf-8')}")
        in_recipe = (
            f"`training: {found.name}`; on the command line " if found.group == "training" else "behind `run -m` "
        )
        print(f"use: {in_recipe}{found.group}={found.name}")
    for each in found.descriptions:
        _print_description(each)


def _print_description(found: Description) -> None:
    from rich.table import Table
    from rich.text import Text

    printer = console()
    printer.print(Text.assemble((f"{found.group} {found.entry.name}", "bold"), f": {found.entry.summary}"))
    if found.text:
        printer.print(Text(found.text))
    if found.paper:
        printer.print(Text(f"paper: {found.paper}"))
    if found.entry.plugin:
        printer.print(Text(f"from the plugin {found.entry.plugin}: {found.file}"))
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
