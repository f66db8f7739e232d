"""What a packed file spends its bytes on, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.core.errors import PlanError
from compressbench.core.plugins import only
from compressbench.packing.feeding import classes_of, preprocessing_of
from compressbench.packing.inspect import Summary, summary, tensor_table
from compressbench.packing.packed_file import PackedFileError
from compressbench.packing.refusing import printable
from compressbench.reporting.page import Grid, Page
from compressbench.reporting.render import as_html, as_markdown, as_rich
from compressbench.reporting.spreadsheet import as_csv

if TYPE_CHECKING:
    from rich.console import Group

LONGEST = 1000
"""Letters of a note that are shown of each part."""
HEADINGS = ["tensor", "shape", "format", "coder", "elements", "bits per weight", "entropy bound", "bytes"]


def inspect(file: Path, style: str = "rich") -> str | Group:
    """Return a file's head and its table of tensors: text, or for `rich` something a rich console prints.

    No plugin is imported for it. PlanError if it cannot be read.
    """
    with only(()), for_people():
        table = tensor_table(file)
        whole = summary(file)
    if style == "csv":
        return as_csv([{**row, "shape": _shape(row)} for row in table])
    page = Page(file.name, introduction=head(whole), grids=[_grid(table)], remarks=REMARKS)
    if style == "rich":
        return as_rich(page)
    return {"markdown": as_markdown, "html": as_html}[style](page)


@contextmanager
def for_people() -> Iterator[None]:
    """Turn a file that cannot be read into bad input."""
    try:
        yield
    except PackedFileError as error:
        raise PlanError.of("", str(error)) from error


def head(whole: Summary) -> list[str]:
    """Return the sentences above the table: lengths, where the network comes from, what was measured."""
    parts = {"header": whole.header_bytes, "note": whole.note_bytes, "tensors": whole.data_bytes}
    smaller = (
        ""
        if whole.dense_bytes is None
        else (
            f", {whole.times_smaller:.1f} times smaller than the parameters of the network "
            f"before compression in fp32 ({whole.dense_bytes:,} bytes)"
        )
    )
    each = ", ".join(f"{name} {length:,}" for name, length in parts.items())
    said = [f"{whole.file_bytes:,} bytes{smaller}: {each}", f"network: {_words(whole.architecture)}"]
    said += [f"needs the plugin {printable(plugin, LONGEST)}" for plugin in whole.plugins]
    if whole.changed:
        said.append(f"layers that a technique changed: {', '.join(whole.changed)}")
    note = whole.note  # it may hold anything
    for key in ("dataset", "seed", "weights", "limits"):
        if key in note:
            said.append(f"{key}: {_words(note[key])}")
    said += _feeding(note, whole.architecture)
    stages = note.get("stages")
    for name, fields in stages.items() if isinstance(stages, dict) else ():
        said.append(f"stage {_words(name)}: {_words(fields)}")
    if "measured" in note:
        said.append(f"measured: {_words(note['measured'])}")
    return said


def _feeding(note: dict[str, Any], architecture: dict[str, Any]) -> list[str]:
    """Return what goes in and what comes out, as far as the note says."""
    said = []
    if "preprocessing" in note:
        try:
            said.append(f"takes: {preprocessing_of(note)}")
        except ValueError as error:
            said.append(printable(str(error), LONGEST))
    if "classes" in note:
        names = classes_of(note, architecture)
        called = ", ".join(names) if names else "what the packed file says of them cannot be used"
        said.append(f"classes: {printable(called, LONGEST)}")
    return said


REMARKS = [
    "bits per weight: of the coded symbols and what stands beside them (code books, scales, non-zeros), an element.",
    "entropy bound: the bytes that a coder cannot go below which knows only how often each symbol occurs (order 0).",
]


def _words(value: Any) -> str:
    """Return JSON as people read it: `mnist, image_size 28`. What would steer a terminal is a `?`."""
    if isinstance(value, dict):
        said = {key: content for key, content in value.items() if content not in (None, [], {})}
        plain = ("name", "technique", "target")
        text = ", ".join(f"{'' if key in plain else f'{key} '}{_words(content)}" for key, content in said.items())
    elif isinstance(value, list):
        text = f"[{', '.join(map(_words, value))}]"
    else:
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return printable(text, LONGEST)


def _grid(table: list[dict[str, Any]]) -> Grid:
    grid = Grid("", HEADINGS, left=4, optional=("elements", "shape"))
    for row in table:
        bound = "" if row["entropy_bytes"] is None else f"{row['entropy_bytes']:,.0f}"
        figures = [f"{row['bits_per_weight']:.3f}", bound, f"{row['bytes']:,}"]
        grid.rows.append([row["name"], _shape(row), row["format"], row["coder"], f"{row['elements']:,}", *figures])
    elements, taken = (sum(row[key] for row in table) for key in ("elements", "bytes"))
    bounds = [row["entropy_bytes"] for row in table]
    whole = "" if None in bounds else f"{sum(bounds):,.0f}"
    each = f"{8 * taken / elements:.3f}" if elements else ""
    grid.rows.append(["all", "", "", "", f"{elements:,}", each, whole, f"{taken:,}"])
    return grid


def _shape(row: dict[str, Any]) -> str:
    return " x ".join(map(str, row["shape"])) or "1"
