"""Render: a page as a console's text, Markdown or HTML."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.reporting.chart import Chart
from compressbench.reporting.page import Grid, Page, style

HERE = Path(__file__).parent
"""Where the style and the script of a page in HTML lie."""

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group
    from rich.table import Table


def as_rich(page: Page) -> Group:
    """Return the page for a console. Commands are left out: whoever reads it there has just typed one."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [Text(page.title, style="bold")]
    parts += [Text(text) for text in page.introduction]
    parts += [rich_grid(grid) for grid in page.grids]
    parts += [Text(f"({number}) {text}") for number, text in enumerate(page.notes, start=1)] + [Text("")]
    parts += [Text(text, style="dim") for text in page.remarks]
    return Group(*parts)


def rich_grid(grid: Grid) -> Any:
    """Return one table for a console. On a narrow one the grid's `optional` columns are left out, and named."""
    return _FittingGrid(grid)


class _FittingGrid:
    def __init__(self, grid: Grid):
        self.grid = grid

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        from rich.measure import Measurement
        from rich.text import Text

        def fits(table: Table) -> bool:
            return Measurement.get(console, options.update(width=1000), table).maximum <= options.max_width

        grid, hidden = self.grid, []
        for heading in ["", *self.grid.optional]:
            if heading in grid.headings:
                grid = grid.without(heading)
                hidden.append(heading)
            fitting = [table for table in (_rich_table(grid), _rich_table(grid, folded=True)) if fits(table)]
            if fitting:
                break
        yield fitting[0] if fitting else _rich_table(grid, folded=True)
        if hidden:
            yield Text(f"too narrow to show: {', '.join(hidden)}\n", style="dim")


def _rich_table(grid: Grid, folded: bool = False) -> Table:
    """Return the table; a line parts rows that do not belong together. folded: columns of words take several lines."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=grid.title or None, title_justify="left", title_style="bold", box=box.SIMPLE, padding=(0, 1))
    for index, heading in enumerate(grid.headings):
        words = grid.words(index)
        shown = heading if words else heading.replace(" ", "\n", 1)
        texts = [heading, *(row[index] for row in grid.rows)]
        width = max(len(part) for text in texts for part in (text.split() if folded else [text])) if words else None
        table.add_column(Text(shown), justify="left" if words else "right", no_wrap=not words, width=width)
    several = any(not row[0] for row in grid.rows)
    for index, row in enumerate(grid.rows):
        last = index + 1 == len(grid.rows) or bool(grid.rows[index + 1][0])
        cells = [Text(cell, style=style(cell)) for cell in row]
        table.add_row(*cells, end_section=last and several, style=None if row[0] else "dim")
    return table


def as_markdown(page: Page) -> str:
    """Return the page as GitHub's Markdown, ready to be committed."""
    parts = [f"# {markdown(page.title)}", *map(markdown, page.introduction)]
    if page.commands:
        parts.append("Run it again:\n\n```sh\n" + "\n".join(page.commands) + "\n```")
    for grid in page.grids:
        parts += [*([f"## {markdown(grid.title)}"] if grid.title else []), markdown_grid(grid)]
    if page.notes:
        numbered = enumerate(page.notes, start=1)
        parts.append("## Notes\n\n" + "\n".join(f"{number}. {markdown(text)}" for number, text in numbered))
    if page.remarks:
        parts.append("## How to read this\n\n" + "\n".join(f"- {markdown(text)}" for text in page.remarks))
    return "\n\n".join(parts) + "\n"


def markdown_grid(grid: Grid) -> str:
    """Return one table as Markdown, without its title."""
    alignment = ("---" if grid.words(index) else "---:" for index, _ in enumerate(grid.headings))
    rows = [[_linked(grid, cell) for cell in row] for row in [grid.headings, *grid.rows]]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join(alignment) + "|", *lines[1:]])


def _linked(grid: Grid, cell: str) -> str:
    return f"[{markdown(cell)}]({grid.links[cell]})" if cell in grid.links else markdown(cell)


def as_html(page: Page) -> str:
    """Return the page as one HTML document that needs no other file and no network: its tables can be sorted, and its
    plots say what the mouse is over."""
    escape = html.escape
    parts = [f"<h1>{escape(page.title)}</h1>", *(f"<p>{escape(text)}</p>" for text in page.introduction)]
    if page.commands:
        parts.append("<p>Run it again:</p><pre>" + escape("\n".join(page.commands)) + "</pre>")
    if page.charts:
        parts.append('<p><a href="#plots">plots</a></p>')
    for grid in page.grids:
        parts.append(f"<h2>{escape(grid.title)}</h2>" if grid.title else "")
        heads = "".join(f"<th{_class(grid, i, '')}>{escape(heading)}</th>" for i, heading in enumerate(grid.headings))
        body = "\n".join(_html_row(grid, row) for row in grid.rows)
        table = f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        parts.append(f'<div class="wide">{table}</div>')
    parts += ['<div id="plots">', *map(_html_chart, page.charts), "</div>"] if page.charts else []
    if page.notes:
        parts.append("<ol>" + "".join(f"<li>{escape(text)}</li>" for text in page.notes) + "</ol>")
    if page.remarks:
        parts.append("<ul>" + "".join(f"<li>{escape(text)}</li>" for text in page.remarks) + "</ul>")
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    head = f"<meta charset='utf-8'><title>{escape(page.title)}</title><style>{style}</style>"
    body = "\n".join([*parts, f"<script>\n{script}</script>"])
    return f"<!doctype html>\n<html lang='en'><head>{head}</head><body>\n{body}\n</body></html>\n"


_MARKS = " ".join(
    f'<span class="mark">{text}</span>' for text in ("○ before compression", "× published", "╌ Pareto front")
)


def _html_chart(chart: Chart) -> str:
    """Return what the page's script draws: the choice of axes, and the points as data."""

    def choice(name: str, keys: list[str]) -> str:
        options = "".join(f'<option value="{html.escape(key)}">{html.escape(chart.captions[key])}' for key in keys)
        return f"<label>{name} <select>{options}</select></label>"

    data = json.dumps(chart.as_dict()).replace("<", "\\u003c")
    colors = " ".join(f'<span class="key" data-group="{n}">{html.escape(g)}</span>' for n, g in enumerate(chart.groups))
    return (
        f'<div class="chart"><h2>{html.escape(chart.title)}</h2><p>{choice("across", chart.x)} {choice("up", chart.y)} '
        f'</p><p class="keys">{colors} {_MARKS}</p><div class="picture"></div><div class="lines"></div>'
        f'<script type="application/json">{data}</script></div>'
    )


def _html_row(grid: Grid, row: list[str]) -> str:
    cells = "".join(f"<td{_class(grid, i, cell)}>{html.escape(cell)}</td>" for i, cell in enumerate(row))
    return f'<tr class="{"first" if row[0] else "more"}">{cells}</tr>'


def _class(grid: Grid, column: int, cell: str) -> str:
    names = " ".join(filter(None, ["" if grid.words(column) else "figure", style(cell)]))
    return f' class="{names}"' if names else ""


def markdown(text: str) -> str:
    """Return text with everything escaped that Markdown or HTML would take for its own.
    An underscore inside a word is none of these."""
    text = html.escape(text.replace("\n", " "), quote=False)
    text = re.sub(r"([\\`*|\[\]])", r"\\\1", text)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
