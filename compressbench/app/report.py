"""Reports: the rows of a table as the recipes have them, all tables at once, and the answer of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.app.sweeps import known
from compressbench.core.errors import PlanError, suggestion
from compressbench.core.record import RunRecord
from compressbench.core.sweep import NAME, SweepRecord, sweep_folder
from compressbench.core.sweep_progress import read_progress
from compressbench.planning.build import build
from compressbench.planning.catalogue import recipe_folders, recipes, tables
from compressbench.planning.compose import compose
from compressbench.planning.recipe import load_yaml
from compressbench.reporting import table as by_table
from compressbench.reporting.compare import compare
from compressbench.reporting.gather import commit_records, gather
from compressbench.reporting.plot import plot
from compressbench.reporting.summary import summary as summary_of
from compressbench.reporting.sweep_page import sweep_page

if TYPE_CHECKING:
    from rich.console import Group

ABOUT = "_tables.yaml"
"""The file in a folder of recipes that says what its tables are about, and as `columns` which come first."""
COLUMNS = "columns"


@dataclass
class TableReport:
    """Ours beside the published, of a table or of one row of it. outputs: the folder of the runs."""

    title: str
    table: str
    row: str | None
    outputs: Path
    folders: list[Path]

    @cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        """What the recipes say of each row."""
        return references(self.table, self.row)

    @property
    def order(self) -> list[str]:
        """The metrics whose columns come first."""
        return [str(name) for name in _told(self.folders).get(COLUMNS, [])]

    def shown(self, style: str = "rich") -> str | Group:
        """Return text, or for `rich` something a rich console prints."""
        rows = self.rows
        return by_table.report(self.table, self.outputs, self.folders, rows, style, self.row, bases(rows), self.order)

    @cached_property
    def records(self) -> list[RunRecord]:
        """The records it is made from."""
        records = [each for each in gather(self.table, self.outputs, self.folders) if self.row in (None, each.row)]
        comparisons, _ = compare(records, self.rows)
        return [record for comparison in comparisons for record in comparison.records]

    def commit(self, folder: Path) -> list[Path]:
        """Write the records it is made from, made small, into a folder; return the files."""
        return commit_records(self.records, folder)


@dataclass
class SweepReport:
    """The answer of a sweep. records: its runs that have a result. sort: as `sweep_points` takes it."""

    sweep: SweepRecord
    records: list[RunRecord]
    sort: str = ""

    @property
    def title(self) -> str:
        return sweep_page(self.sweep, self.records).title

    def shown(self, style: str = "rich") -> str | Group:
        """Return text, or for `rich` something a rich console prints."""
        return by_table.sweep_report(self.sweep, self.records, style, self.sort)


def report(name: str, outputs: Path) -> TableReport | SweepReport:
    """Return the report of a table or of one recipe, or the answer of a sweep (by its id, its name, how its id begins).

    Where a table and a sweep are called the same, that of the table. PlanError for a note that is damaged.
    """
    folders = recipe_folders()
    has_id = (sweep_folder(outputs, name) / NAME).is_file()
    sweep = known(name, outputs) if has_id or not _is_table(name, outputs) else None
    if sweep is None:
        return TableReport(name, *_table_and_row(name, outputs, folders), outputs, folders)
    try:
        note = read_progress(sweep_folder(outputs, sweep)).note
        return SweepReport(note, note.records(outputs))
    except ValueError as error:
        raise PlanError.of("report", str(error)) from error


def summary(outputs: Path, style: str = "rich") -> str | Group:
    """Return a line a table: how many of its rows have which verdict."""
    folders = recipe_folders()
    rows = {table: references(table) for table in tables()}
    about = {name: str(text) for name, text in _told(folders).items() if name != COLUMNS}
    every = {f"{table}/{row}": given for table, found in rows.items() for row, given in found.items()}
    return summary_of(outputs, folders, rows, about, bases(every), style)


def _told(folders: list[Path]) -> dict[str, Any]:
    """Return what the folders say of tables; the first folder wins."""
    found: dict[str, Any] = {}
    for file in (folder / ABOUT for folder in folders):
        found = (load_yaml(file) if file.is_file() else {}) | found
    return found


def draw(found: TableReport | SweepReport, picture: Path) -> Path:
    """Draw accuracy against MACs of a report's records into a PNG file; return where it lies."""
    return plot(found.records, picture, found.title)


def _is_table(name: str, outputs: Path) -> bool:
    """Return whether there is a table or a recipe of this name, or runs of one."""
    there = any(entry.name == name or entry.name.startswith(f"{name}/") for entry in recipes())
    return there or (outputs / "runs" / name).is_dir()


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

    only: this row alone. PlanError for one that stands beside a row which is not there.
    """
    found, named = {}, dict[str, str]()
    for entry in recipes():
        folder, _, row = entry.name.rpartition("/")
        if (folder or ".") != table or only not in (None, row):
            continue
        plan, _ = build(compose([f"recipe={entry.name}"]))  # missing data is no fault of a report
        reference = plan.reference.as_dict() if plan else {}
        found[row] = {**reference, "summary": entry.summary, "plan": plan.as_dict() if plan else None}
        if plan:
            found[row] |= {"metric_specs": plan.metric_specs, "primary": plan.task.primary}
        if only is None and (beside := reference.get("beside")):
            named[row] = beside
    for row in named:
        if named[row] not in found:
            why = f"{table} has no row {named[row]!r}; {suggestion(named[row], found)}"
            raise PlanError.of(f"{row}: reference.beside", why)
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
