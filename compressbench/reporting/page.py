"""Page: a report as plain data, which `render.py` turns into a console's text, Markdown or HTML."""

from __future__ import annotations

from dataclasses import dataclass, field

from compressbench.reporting import verdict as rules
from compressbench.reporting.chart import Chart

STYLES = {
    rules.REPRODUCED: "green",
    rules.ABOVE: "cyan",
    rules.WITHIN: "yellow",
    rules.DIFFERS: "red",
    rules.NOT_RUN: "dim",
}
"""How a verdict is shown where there are colours."""


def style(cell: str) -> str:
    """Return the style of a cell that starts with a verdict, empty for any other."""
    return next((style for verdict, style in STYLES.items() if cell.startswith(verdict)), "")


@dataclass
class Grid:
    """One table of text. The first `left` columns and the verdict are words, the others figures.

    rows: a list of cells; a row whose first cell is empty belongs to the one above it. optional: headings that a
    narrow console may leave out, the first ones first. links: where a cell leads to, in Markdown.
    """

    title: str
    headings: list[str]
    rows: list[list[str]] = field(default_factory=list)
    left: int = 1
    optional: tuple[str, ...] = ()
    links: dict[str, str] = field(default_factory=dict)

    def words(self, column: int) -> bool:
        """Whether a column holds words; figures are aligned to the right."""
        return column < self.left or self.headings[column] == "verdict"

    def without_empty_columns(self) -> Grid:
        """Return the table without the columns in which no row says anything."""
        return self._with([i for i, _ in enumerate(self.headings) if i < self.left or any(row[i] for row in self.rows)])

    def without(self, heading: str) -> Grid:
        """Return the table without one of its columns."""
        return self._with([i for i, other in enumerate(self.headings) if other != heading])

    def _with(self, columns: list[int]) -> Grid:
        rows = [[row[i] for i in columns] for row in self.rows]
        return Grid(self.title, [self.headings[i] for i in columns], rows, self.left, self.optional, self.links)


@dataclass
class Page:
    """A report. introduction, remarks: paragraphs. commands: how to make it again. notes: numbered footnotes.

    charts: what is drawn; of the formats only HTML does.
    """

    title: str
    introduction: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)

    def note(self, text: str) -> int:
        """Return the number of a footnote; the same text keeps its number."""
        if text not in self.notes:
            self.notes.append(text)
        return self.notes.index(text) + 1
