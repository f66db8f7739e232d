"""Small tables: figures that metrics want to have in a table of their own (`MetricSpec.table`), as latencies do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from compressbench.core.metric import MetricSpec
from compressbench.core.specs import Specs
from compressbench.reporting import formatting
from compressbench.reporting.comparison import Comparison
from compressbench.reporting.page import Grid

Figures = Mapping[str, formatting.Estimate]


def of_rows(comparisons: list[Comparison]) -> list[Grid]:
    """Return the tables of a report, with the rows of each of its rows, means over seeds; of the final stage."""
    specs = {name: spec for comparison in reversed(comparisons) for name, spec in comparison.specs.items()}
    grids = []
    for table, headings in _tables(specs).items():
        grid = Grid(_title(table), ["row", *headings], left=2)
        for comparison in comparisons:
            for number, cells in enumerate(_rows(table, specs, comparison.after)):
                grid.rows.append(["" if number else comparison.row, *cells])
        grids.append(grid)
    return [grid for grid in grids if grid.rows]


def of_run(specs: Specs, found: Mapping[str, float]) -> list[Grid]:
    """Return the tables of one run's final figures."""
    figures = {name: formatting.Estimate(value) for name, value in found.items()}
    grids = [Grid(_title(table), headings, _rows(table, specs, figures)) for table, headings in _tables(specs).items()]
    return [grid for grid in grids if grid.rows]


def titles(specs: Iterable[MetricSpec], found: Figures) -> set[str]:
    """Return the titles of the tables in which something stands."""
    return {_title(spec.table) for spec in specs if spec.table and spec.name in found}


def _title(table: str) -> str:
    return table.partition(":")[0]


def _tables(specs: Specs) -> dict[str, list[str]]:
    """Return the headings of each table, that of the rows first, in the order in which metrics declare them."""
    found: dict[str, list[str]] = {}
    for spec in specs.values():
        if spec.table:
            headings = found.setdefault(spec.table, [spec.table.partition(":")[2].strip()])
            headings += [title] if (title := formatting.title(spec)) not in headings else []
    return found


def _rows(table: str, specs: Specs, found: Figures) -> list[list[str]]:
    """Return the rows of a table in which a figure of their own stands; others share theirs with several."""
    mine = [spec for spec in specs.values() if spec.table == table and spec.name in found]
    cells: dict[str, dict[str, str]] = {spec.rows[0]: {} for spec in mine if len(spec.rows) == 1}
    for spec in mine:
        for row in [row for row in spec.rows if row in cells]:
            cells.setdefault(row, {})[formatting.title(spec)] = formatting.shown(spec, found[spec.name])
    headings = _tables(specs)[table][1:]
    return [[row, *(shown.get(heading, "") for heading in headings)] for row, shown in cells.items()]
