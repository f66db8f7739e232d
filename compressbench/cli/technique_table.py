"""The techniques as a table: for a terminal of any width, or a line each for files and pipes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from compressbench.cli.parser import console

if TYPE_CHECKING:
    from rich.table import Table

    from compressbench.app.listing import Row

OPTIONAL = ("tables", "needs", "paper")
"""Columns that a narrow terminal does without, the first ones first."""
LEAST = {"what it does": 38, "tables": 24}
"""Columns of a terminal that the text which takes several lines must have."""
GAP = 2


def print_techniques(rows: Sequence[Row]) -> None:
    """Print a line a technique, by family; in a terminal, as many columns as it has room for."""
    from compressbench.app.listing import HEADINGS, cells

    headings, lines = list(HEADINGS), [cells(row) for row in rows]
    if any(row.plugin for row in rows):
        headings = [*headings, "from"]
        lines = [[*line, row.plugin or "compressbench"] for line, row in zip(lines, rows, strict=True)]
    printer = console()
    if not printer.is_terminal:
        widths = [max(map(len, column)) for column in zip(headings, *lines, strict=True)]
        for line in (headings, *lines):
            print("".join(cell.ljust(width + GAP) for cell, width in zip(line, widths, strict=True)).rstrip())
        return
    shown = _fitting(headings, lines, printer.width)
    printer.print(_table(shown, headings, lines, [row.family for row in rows]))
    if hidden := [heading for heading in headings if heading not in shown]:
        printer.print(f"too narrow to show: {', '.join(hidden)}", style="dim")


def _fitting(headings: Sequence[str], lines: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return the headings that there is room for."""
    columns = zip(headings, *lines, strict=True)
    needed = {heading: LEAST.get(heading, max(map(len, (heading, *texts)))) + GAP for heading, *texts in columns}
    for heading in OPTIONAL:
        if sum(needed.values()) - GAP > width:
            del needed[heading]
    return list(needed)


def _table(
    shown: Sequence[str], headings: Sequence[str], lines: Sequence[Sequence[str]], families: Sequence[str]
) -> Table:
    """Return the table; an empty line parts the families."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="bold", expand=True)
    for heading in shown:
        table.add_column(heading, no_wrap=heading not in LEAST, ratio=LEAST.get(heading), overflow="fold")
    for index, (line, family) in enumerate(zip(lines, families, strict=True)):
        if index and family != families[index - 1]:
            table.add_row()
        table.add_row(*(Text(cell) for heading, cell in zip(headings, line, strict=True) if heading in shown))
    return table
