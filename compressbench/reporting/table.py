"""Table: the report of a table of recipes, ours beside what was published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.core.errors import Fault, PlanError, suggestion
from compressbench.core.record import RunRecord
from compressbench.core.sweep import NAME, SweepRecord
from compressbench.reporting.beside import beside_grid
from compressbench.reporting.chart import charts
from compressbench.reporting.compare import compare
from compressbench.reporting.comparison import Comparison
from compressbench.reporting.figure_table import grid_of
from compressbench.reporting.footnotes import row_notes
from compressbench.reporting.gather import committed, gather
from compressbench.reporting.handicap import handicaps
from compressbench.reporting.page import Grid, Page
from compressbench.reporting.remarks import commands, introduction, remarks
from compressbench.reporting.render import as_html, as_markdown, as_rich
from compressbench.reporting.small_tables import of_rows
from compressbench.reporting.spread import Redrawn, redrawn
from compressbench.reporting.spreadsheet import as_csv, comparison_row
from compressbench.reporting.sweep_page import points_csv, sweep_page

if TYPE_CHECKING:
    from rich.console import Group

FORMATS = ("rich", "markdown", "csv", "html")


def report(
    table: str,
    outputs: Path,
    recipe_folders: Iterable[Path],
    references: dict[str, dict[str, Any]],
    format: str = "rich",
    row: str | None = None,
    bases: Mapping[str, dict[str, Any]] | None = None,
    order: Sequence[str] = (),
) -> str | Group:
    """Return the report of `table`: text, or for `rich` something a rich console prints. row: of this row alone.

    outputs: where `runs/` lies. recipe_folders: where recipes and their committed records lie. references: by row
    of the table, its reference, with `summary` and `plan` added (see `compare`). bases: the same of the rows that
    measure handicaps, by the name of their recipe. order: metrics whose columns come first. Raises PlanError for a
    table that has neither rows nor records, or an unknown format.
    """
    folders = list(recipe_folders)
    check_format(format)
    unreadable: list[str] = []
    records = [each for each in gather(table, outputs, folders, unreadable) if row in (None, each.row)]
    if not records and not references:
        raise PlanError(
            [Fault("report", f"there is no table {table!r}; {suggestion(table, _names(folders, outputs))}")]
        )
    comparisons, left_out = compare(records, references, handicaps(bases or {}, outputs, folders))
    if format == "csv":
        return as_csv([comparison_row(comparison) for comparison in comparisons])
    drawn_again = redrawn(committed(folders, unreadable))
    left_out += dict.fromkeys(unreadable)
    page = make_page(table if row is None else row, comparisons, left_out, drawn_again, order)
    return shaped(page, format, [record for comparison in comparisons for record in comparison.records])


def sweep_report(sweep: SweepRecord, records: list[RunRecord], format: str = "rich", sort: str = "") -> str | Group:
    """Return the answer of a sweep as `report` does for a table. records: as `SweepRecord.records` returns them. sort:
    as `sweep_points` takes it."""
    check_format(format)
    if format == "csv":
        return points_csv(sweep, records, sort)
    return shaped(sweep_page(sweep, records, sort), format, records)


def check_format(format: str) -> None:
    """Raise PlanError for a format that there is not."""
    if format not in FORMATS:
        raise PlanError([Fault("format", f"{format!r} is unknown; {suggestion(format, FORMATS)}")])


def shaped(page: Page, format: str, records: list[RunRecord]) -> str | Group:
    """Return the page in a format; the HTML carries plots of these records, if they can be plotted."""
    if format == "rich":
        return as_rich(page)
    if format == "markdown":
        return as_markdown(page)
    page.charts = charts(records)
    return as_html(page)


def make_page(
    table: str,
    comparisons: list[Comparison],
    left_out: list[str],
    drawn_again: Iterable[Redrawn] = (),
    order: Sequence[str] = (),
) -> Page:
    """Return the report as data. left_out: sentences about records that are not part of it. drawn_again: as
    `spread.redrawn` returns it. order: metrics whose columns come first, as in `recipes/_tables.yaml`."""
    page = Page(table, introduction(comparisons), commands(table, comparisons))
    grid = grid_of(comparisons, order, lambda comparison: "".join(f" ({page.note(t)})" for t in row_notes(comparison)))
    page.grids.append(grid.without_empty_columns())
    summaries = {comparison.row: comparison.summary for comparison in comparisons if comparison.summary}
    rows = Grid("The rows", ["row", "recipe"], [[row, text] for row, text in summaries.items()], left=2)
    page.grids += [grid for grid in (beside_grid(comparisons), *of_rows(comparisons), rows) if grid.rows]
    page.remarks = [*remarks(comparisons, drawn_again), *left_out]
    return page


def _names(folders: list[Path], outputs: Path) -> list[str]:
    """Return the tables, folders below `recipes/` that hold recipes, the recipes outside any, and the sweeps."""
    sweeps = [path.parent.name for path in (outputs / "sweeps").glob(f"*/{NAME}")]
    files = [(folder, path) for folder in folders for path in folder.rglob("*.yaml") if path.name[0] != "_"]
    outside = {path.stem for folder, path in files if path.parent == folder}
    tables = {path.parent.relative_to(folder).as_posix() for folder, path in files} - {"."}
    return [*sorted(tables | outside), *sorted(sweeps)]
