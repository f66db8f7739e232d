"""Where a run writes. Needs no torch."""

from __future__ import annotations

from pathlib import Path

RECORD, WEIGHTS = "record.json", "model.cbp"


def run_folder(outputs: Path, table: str, row: str, plan_id: str) -> Path:
    """Return the folder of a run's record and final file; seeds and variants differ in the last part."""
    return outputs / "runs" / table / row / plan_id
