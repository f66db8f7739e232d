"""`compressbench report`: the rows of a table as the recipes have them, handed to `reporting`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from compressbench.core.errors import PlanError, suggestion
from compressbench.core.sweep import NAME, SweepRecord, sweep_folder
from compressbench.planning.build import build
from compressbench.planning.catalogue import recipe_folders, recipes, tables
from compressbench.planning.compose import compose
from compressbench.planning.recipe import load_yaml
from compressbench.reporting.compare import compare
from compressbench.reporting.gather import commit_records, gather
from compressbench.reporting.plot import plot
from compressbench.reporting.summary import summary
from compressbench.reporting.sweep_page import sweep_page
from compressbench.reporting.table import report, sweep_report

ABOUT = "_tables.yaml"
"""The file in a folder of recipes that says what its tables are about."""


def print_report(
    name: str, outputs: Path, style: str, picture: str | None, commit: str | None, console: Console
) -> int:
    """Print the report of a table or of one recipe, or the answer of a sweep, and nothing else on stdout; draw and
    commit what it shows if asked to."""
    sweep = sweep_folder(outputs, name) / NAME
    if sweep.is_file():
        return _print_sweep(sweep, outputs, style, picture, commit, console)
    folders = recipe_folders()
    table, row = _table_and_row(name, outputs, folders)
    rows = references(table, row)
    _show(report(table, outputs, folders, rows, style, row, bases(rows)), console)
    if picture or commit:
        records = [each for each in gather(table, outputs, folders) if row in (None, each.row)]
        comparisons, _ = compare(records, rows)
        shown = [record for comparison in comparisons for record in comparison.records]
        if picture:
            print(f"plot: {plot(shown, Path(picture), name)}", file=sys.stderr)
        if commit:
            print(f"{len(commit_records(shown, Path(commit)))} records: {commit}", file=sys.stderr)
    return 0


def print_summary(outputs: Path, style: str, console: Console) -> int:
    """Print a line a table: how many of its rows have which verdict."""
    folders = recipe_folders()
    rows = {table: references(table) for table in tables()}
    about: dict[str, str] = {}
    for file in (folder / ABOUT for folder in folders):
        if file.is_file():
            about = {name: str(text) for name, text in load_yaml(file).items()} | about
    every = {f"{table}/{row}": given for table, found in rows.items() for row, given in found.items()}
    _show(summary(outputs, folders, rows, about, bases(every), style), console)
    return 0


def _show(made: Any, console: Console) -> None:
    if isinstance(made, str):
        print(made, end="")
    else:
        console.print(made)


def _print_sweep(
    note: Path, outputs: Path, style: str, picture: str | None, commit: str | None, console: Console
) -> int:
    if commit:
        raise PlanError.of("--commit", "goes with a table, whose rows have names; points of a sweep have none")
    try:
        sweep = SweepRecord.read(note)
        records = sweep.records(outputs)
    except ValueError as error:
        raise PlanError.of("report", str(error)) from error
    _show(sweep_report(sweep, records, style), console)
    if picture:
        print(f"plot: {plot(records, Path(picture), sweep_page(sweep, records).title)}", file=sys.stderr)
    return 0


def _table_and_row(name: str, outputs: Path, folders: list[Path]) -> tuple[str, str | None]:
    """Return the table of this name; or else the table and the row of a recipe that is there or was run."""
    names = [entry.name for entry in recipes()]
    table, _, row = name.rpartition("/")
    if any(each.startswith(f"{name}/") for each in names):
        return name, None
    if name in names or any(record.row == row for record in gather(table or ".", outputs, folders)):
        return table or ".", row
    return name, None


def references(table: str, only: str | None = None) -> dict[str, dict[str, Any]]:
    """Return, by row of the table, its published figures, what the row is, and the plan its recipe stands for.

    only: this row alone.
    """
    found = {}
    for entry in recipes():
        folder, _, row = entry.name.rpartition("/")
        if (folder or ".") != table or only not in (None, row):
            continue
        plan, _ = build(compose([f"recipe={entry.name}"]))  # missing data is no fault of a report
        reference = plan.reference.as_dict() if plan else {}
        found[row] = {**reference, "summary": entry.summary, "plan": plan.as_dict() if plan else None}
    return found


def bases(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the rows that measure the handicaps of these, by the name of their recipe, as `references` has them.

    PlanError for one that is no recipe.
    """
    names = [entry.name for entry in recipes()]
    found = {}
    for row, given in rows.items():
        name = given.get("handicap")
        if name and name not in names:
            raise PlanError.of(f"{row}: reference.handicap", f"there is no recipe {name!r}; {suggestion(name, names)}")
        if name and name not in found:
            table, _, base = name.rpartition("/")
            found[name] = references(table or ".", base)[base]
    return found
