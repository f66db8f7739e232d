"""Table: the report of a table of recipes, ours beside what was published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.core.errors import Fault, PlanError, suggestion
from compressbench.core.record import RunRecord
from compressbench.core.sweep import NAME, SweepRecord
from compressbench.reporting import formatting
from compressbench.reporting.compare import compare
from compressbench.reporting.comparison import Comparison, counted
from compressbench.reporting.footnotes import row_notes
from compressbench.reporting.gather import committed, gather
from compressbench.reporting.handicap import handicaps
from compressbench.reporting.latency import latency_grid
from compressbench.reporting.page import Grid, Page
from compressbench.reporting.plot import draw
from compressbench.reporting.remarks import commands, introduction, remarks
from compressbench.reporting.render import as_html, as_markdown, as_rich
from compressbench.reporting.scratch import scratch_grid
from compressbench.reporting.spread import Redrawn, redrawn
from compressbench.reporting.spreadsheet import as_csv, comparison_row
from compressbench.reporting.sweep_page import points_csv, sweep_page

if TYPE_CHECKING:
    from rich.console import Group

FORMATS = ("rich", "markdown", "csv", "html")

HEADINGS = ["row", "figures", "top1 before %", "top1 after %", "change, points", "top5 after %"]
HEADINGS += ["params", "survey FLOPs", "MACs", "file", "smaller", "verdict"]
OPTIONAL = ("smaller", "file", "MACs", "top5 after %", "top1 before %", "survey FLOPs", "params")


def report(
    table: str,
    outputs: Path,
    recipe_folders: Iterable[Path],
    references: dict[str, dict[str, Any]],
    format: str = "rich",
    row: str | None = None,
    bases: Mapping[str, dict[str, Any]] | None = None,
) -> str | Group:
    """Return the report of `table`: text, or for `rich` something a rich console prints. row: of this row alone.

    outputs: where `runs/` lies. recipe_folders: where recipes and their committed records lie. references: by row
    of the table, its reference, with `summary` and `plan` added (see `compare`). bases: the same of the rows that
    measure handicaps, by the name of their recipe. Raises PlanError for a table that has neither rows nor records, or
    an unknown format.
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
    page = make_page(table if row is None else row, comparisons, left_out, drawn_again)
    return shaped(page, format, [record for comparison in comparisons for record in comparison.records])


def sweep_report(sweep: SweepRecord, records: list[RunRecord], format: str = "rich") -> str | Group:
    """Return the answer of a sweep as `report` does for a table. records: as `SweepRecord.records` returns them."""
    check_format(format)
    if format == "csv":
        return points_csv(sweep, records)
    return shaped(sweep_page(sweep, records), format, records)


def check_format(format: str) -> None:
    """Raise PlanError for a format that there is not."""
    if format not in FORMATS:
        raise PlanError([Fault("format", f"{format!r} is unknown; {suggestion(format, FORMATS)}")])


def shaped(page: Page, format: str, records: list[RunRecord]) -> str | Group:
    """Return the page in a format; the HTML carries the plot of these records, if they can be plotted."""
    if format == "rich":
        return as_rich(page)
    if format == "markdown":
        return as_markdown(page)
    if picture := draw(records, page.title):
        page.pictures.append(picture)
    return as_html(page)


def make_page(
    table: str, comparisons: list[Comparison], left_out: list[str], drawn_again: Iterable[Redrawn] = ()
) -> Page:
    """Return the report as data. left_out: sentences about records that are not part of it. drawn_again: as
    `spread.redrawn` returns it."""
    page = Page(table, introduction(comparisons), commands(table, comparisons))
    grid = Grid("", HEADINGS, left=2, optional=OPTIONAL)
    for comparison in comparisons:
        numbers = "".join(f" ({page.note(text)})" for text in row_notes(comparison))
        grid.rows += _rows(comparison, comparison.row + numbers)
    page.grids.append(grid.without_empty_columns())
    summaries = {comparison.row: comparison.summary for comparison in comparisons if comparison.summary}
    rows = Grid("The rows", ["row", "recipe"], [[row, text] for row, text in summaries.items()], left=2)
    page.grids += [grid for grid in (scratch_grid(comparisons), latency_grid(comparisons), rows) if grid.rows]
    page.remarks = [*remarks(comparisons, drawn_again), *left_out]
    return page


def _rows(comparison: Comparison, name: str) -> list[list[str]]:
    """Return what we measured, what was published, the difference, and the level at equal handicap, a row each."""
    published = comparison.reference
    printed = [
        "published",
        formatting.percent(published.before.get("top1")),
        formatting.percent(published.figures.get("top1")),
        formatting.points(comparison.published_change("top1")),
        formatting.percent(published.figures.get("top5")),
        formatting.count(published.figures.get("params")),
        formatting.count(published.figures.get("flops_survey")),
        formatting.count(published.figures.get("macs")),
        formatting.size(published.figures.get("size_bytes")),
        formatting.times(comparison.published_times_smaller),
    ]
    has_published = any(printed[1:])
    if not comparison.records:
        return [[name, *printed, comparison.judgement]]
    rows = [[name, *_ours(comparison), comparison.judgement]]
    if has_published:
        rows += [["", *printed, ""], ["", *_difference(comparison), ""]]
    if at_equal_handicap := _at_equal_handicap(comparison):
        rows.append(["", "published at equal handicap", "", at_equal_handicap, *[""] * (len(HEADINGS) - 4)])
    return rows


def _ours(comparison: Comparison) -> list[str]:
    before, after = comparison.before, comparison.after
    seeds = len(comparison.seeds)
    params = formatting.count(counted(after, "params")) + (" non-zero" if comparison.sparse else "")
    return [
        formatting.listed(comparison.dataset, comparison.protocol, f"{seeds} seed{'s' if seeds > 1 else ''}"),
        formatting.percent(before.get("top1")),
        formatting.percent(after.get("top1")),
        formatting.points(comparison.change.get("top1")),
        formatting.percent(after.get("top5")),
        params,
        formatting.count(after.get("flops_survey")),
        formatting.count(after.get("macs")),
        formatting.size(after.get("size_bytes")),
        formatting.times(comparison.times_smaller),
    ]


def _difference(comparison: Comparison) -> list[str]:
    """Return ours minus published: levels only on the paper's own dataset, changes and counts always."""
    after, published = comparison.after, comparison.reference
    levels = after if comparison.same_dataset else {}
    change, printed = comparison.change.get("top1"), comparison.published_change("top1")
    return [
        "difference",
        _points_between(comparison.before.get("top1"), published.before.get("top1")) if levels else "",
        _points_between(levels.get("top1"), published.figures.get("top1")),
        _points_between(change, printed),
        _points_between(levels.get("top5"), published.figures.get("top5")),
        *(
            formatting.relative(counted(after, name), published.figures.get(name))
            for name in ("params", "flops_survey", "macs")
        ),
        formatting.relative(after.get("size_bytes"), published.figures.get("size_bytes")),
        "",
    ]


def _at_equal_handicap(comparison: Comparison) -> str:
    """Return the published top1 minus the handicap, and in brackets ours minus that; empty without a handicap."""
    level, ours = comparison.published_at_equal_handicap, comparison.after.get("top1")
    return (
        "" if level is None or ours is None else f"{formatting.percent(level)} ({formatting.points(ours.mean - level)})"
    )


def _points_between(ours: formatting.Estimate | None, published: float | None) -> str:
    return "" if ours is None or published is None else formatting.points(ours.mean - published)


def _names(folders: list[Path], outputs: Path) -> list[str]:
    """Return the tables, folders below `recipes/` that hold recipes, the recipes outside any, and the sweeps."""
    sweeps = [path.parent.name for path in (outputs / "sweeps").glob(f"*/{NAME}")]
    files = [(folder, path) for folder in folders for path in folder.rglob("*.yaml") if path.name[0] != "_"]
    outside = {path.stem for folder, path in files if path.parent == folder}
    tables = {path.parent.relative_to(folder).as_posix() for folder, path in files} - {"."}
    return [*sorted(tables | outside), *sorted(sweeps)]
