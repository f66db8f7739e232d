"""Summary: all tables at once, how many of their rows have which verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.reporting import verdict as rules
from compressbench.reporting.compare import compare
from compressbench.reporting.comparison import Comparison
from compressbench.reporting.gather import gather
from compressbench.reporting.handicap import handicaps
from compressbench.reporting.page import Grid, Page
from compressbench.reporting.spreadsheet import as_csv
from compressbench.reporting.table import check_format, shaped

if TYPE_CHECKING:
    from rich.console import Group

VERDICTS = (rules.REPRODUCED, rules.ABOVE, rules.WITHIN, rules.DIFFERS, rules.NO_FIGURES, rules.NOT_RUN)
AT_EQUAL_HANDICAP = "of which level agrees at equal handicap"

READING = (
    "A row on one dataset under one protocol counts once, by its verdict: the worst of its figures. above: better than "
    "published, which reproduces nothing. differs holds those, counted once more behind it, of which only the change "
    "in the primary metric differs and whose level agrees with the print at equal handicap. seeds: of the rows that "
    "were run."
)


def summary(
    outputs: Path,
    recipe_folders: Iterable[Path],
    tables: Mapping[str, dict[str, dict[str, Any]]],
    about: Mapping[str, str],
    bases: Mapping[str, dict[str, Any]],
    format: str = "rich",
) -> str | Group:
    """Return a line a table: its rows by verdict, and the seeds they were run with.

    tables: the rows of each, as `table.report` takes its `references`. about: what tables are about, by name; the
    order is theirs. bases: as `table.report` takes them. Raises PlanError for an unknown format.
    """
    check_format(format)
    folders = list(recipe_folders)
    measured = handicaps(bases, outputs, folders)
    left_out: list[str] = []
    headings = ["table", "what", "rows", *VERDICTS[:4], AT_EQUAL_HANDICAP, *VERDICTS[4:], "seeds"]
    grid = Grid("", headings, left=2, optional=("what", rules.NO_FIGURES, AT_EQUAL_HANDICAP))
    for table in [*(name for name in about if name in tables), *(name for name in tables if name not in about)]:
        records = gather(table, outputs, folders, left_out)
        comparisons, _ = compare(records, tables[table], measured)
        grid.rows.append([table, about.get(table, ""), *_counted(comparisons)])
        for folder in folders:
            if (folder / table / "RESULTS.md").is_file():
                grid.links.setdefault(table, f"{folder.name}/{table}/RESULTS.md")
    if format == "csv":
        return as_csv([dict(zip(headings, row, strict=True)) for row in grid.rows])
    return shaped(Page("Results", grids=[grid], remarks=[READING, *left_out]), format, [])


def _counted(comparisons: list[Comparison]) -> list[str]:
    number = Counter(comparison.verdict for comparison in comparisons)
    agreeing = sum(comparison.agrees_at_equal_handicap for comparison in comparisons)
    cells = [len(comparisons), *(number[name] for name in VERDICTS[:4]), agreeing, *(number[n] for n in VERDICTS[4:])]
    seeds = sorted({len(comparison.seeds) for comparison in comparisons if comparison.seeds})
    return [
        *map(str, cells),
        " to ".join(map(str, dict.fromkeys(seeds[:1] + seeds[-1:]))),
    ]
