"""Files: what a run and a sweep leave beside their records for people; MLflow gets a copy."""

from __future__ import annotations

from typing import Any

from compressbench.core.record import RunRecord
from compressbench.core.sweep import SweepRecord
from compressbench.reporting.formatting import listed
from compressbench.reporting.frame import runs_frame
from compressbench.reporting.render import as_markdown, markdown, markdown_grid
from compressbench.reporting.run_table import remarks, stage_grid
from compressbench.reporting.small_tables import of_run
from compressbench.reporting.spreadsheet import as_csv
from compressbench.reporting.sweep_page import points_csv, sweep_page
from compressbench.reporting.table import sweep_report

README, ANSWER = "README.md", "answer.html"


def run_files(record: RunRecord) -> dict[str, str]:
    """Return, by name, a run's stages with the published figures beneath and its latencies (Markdown), its layers, and
    the tensors of its packed file (CSV)."""
    protocol = f"protocol {record.protocol}" if record.protocol else ""
    heading = f"**{record.recipe}** on {listed(record.dataset['name'], protocol, f'seed {record.seed}')}"
    source = record.reference.get("source")
    said = [*remarks(record), *([f"published: {source}, on {record.reference.get('dataset')}"] if source else [])]
    small = of_run(record.metric_specs, record.final.metrics if record.networks else {})
    grids = [markdown_grid(grid) for grid in (stage_grid(record), *small)]
    parts = [heading, *grids, "\n".join(f"- {markdown(sentence)}" for sentence in said)]
    files = {README: "\n\n".join(part for part in parts if part) + "\n"}
    tables = {"layers.csv": record.layers, "tensors.csv": [_flat(row) for row in record.tensors]}
    return files | {name: as_csv(rows) for name, rows in tables.items() if rows}


def _flat(tensor: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the packed file's table with its shape as text: `64 x 3 x 11 x 11`."""
    return {**tensor, "shape": " x ".join(map(str, tensor["shape"]))}


def sweep_files(sweep: SweepRecord, records: list[RunRecord]) -> dict[str, str]:
    """Return, by name, the answer of a sweep (Markdown, and a page in HTML), and as CSV of plain numbers its points and
    its runs."""
    files = {README: as_markdown(sweep_page(sweep, records))}
    if not records:
        return files
    files |= {"points.csv": points_csv(sweep, records), "runs.csv": runs_frame(records).to_csv(index=False)}
    return files | {ANSWER: str(sweep_report(sweep, records, "html"))}
