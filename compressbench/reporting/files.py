"""Files: what a run and a sweep leave beside their records for people; MLflow gets a copy."""

from __future__ import annotations

from typing import Any

from compressbench.core.record import RunRecord
from compressbench.reporting.figures import listed
from compressbench.reporting.page import Grid
from compressbench.reporting.render import markdown, markdown_grid
from compressbench.reporting.run_table import FIGURES, remarks, stage_grid
from compressbench.reporting.spreadsheet import as_csv

README = "README.md"


def run_files(record: RunRecord) -> dict[str, str]:
    """Return, by name, a run's stages with the published figures beneath (Markdown), its layers, and the
    tensors of its packed file (CSV)."""
    protocol = f"protocol {record.protocol}" if record.protocol else ""
    heading = f"**{record.recipe}** on {listed(record.dataset['name'], protocol, f'seed {record.seed}')}"
    source = record.reference.get("source")
    said = [*remarks(record), *([f"published: {source}, on {record.reference.get('dataset')}"] if source else [])]
    parts = [heading, markdown_grid(stage_grid(record)), "\n".join(f"- {markdown(sentence)}" for sentence in said)]
    files = {README: "\n\n".join(part for part in parts if part) + "\n"}
    tables = {"layers.csv": record.layers, "tensors.csv": [_flat(row) for row in record.tensors]}
    return files | {name: as_csv(rows) for name, rows in tables.items() if rows}


def _flat(tensor: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the packed file's table with its shape as text: `64 x 3 x 11 x 11`."""
    return {**tensor, "shape": " x ".join(map(str, tensor["shape"]))}


def sweep_files(records: list[RunRecord]) -> dict[str, str]:
    """Return, by name, the final figures of every run of a sweep: as Markdown, and as CSV of plain numbers."""
    points = [{"recipe": r.recipe, **r.swept, "seed": str(r.seed), "status": r.status} for r in records]
    found = [record.final.measurements if record.networks else {} for record in records]
    keys = list(dict.fromkeys(key for point in points for key in point))
    grid = Grid("", [*keys, *FIGURES], left=len(keys))
    for point, measured in zip(points, found, strict=True):
        shown = [shape(measured.get(name)) for name, shape in FIGURES.values()]
        grid.rows.append([*(point.get(key, "") for key in keys), *shown])
    rows = [{**point, **measured} for point, measured in zip(points, found, strict=True)]
    return {README: markdown_grid(grid.without_empty_columns()) + "\n", "points.csv": as_csv(rows)}
