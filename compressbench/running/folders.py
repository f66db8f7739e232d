"""Where a run writes. Needs no torch."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from compressbench.core.atomic import write_atomically
from compressbench.core.lock import alone
from compressbench.core.record import RunRecord

RECORD, WEIGHTS = "record.json", "model.cbp"


def run_folder(outputs: Path, table: str, row: str, plan_id: str) -> Path:
    """Return the folder of a run's record and final file; seeds and variants differ in the last part."""
    return outputs / "runs" / table / row / plan_id


def write_record(record: RunRecord, folder: Path) -> None:
    """Write a run's record. It stays a point of the sweeps that the one there belongs to, whoever writes meanwhile."""
    with alone(folder / "record.lock"):
        with suppress(OSError, ValueError):  # none yet, or a damaged one, which this one replaces
            record.sweeps = RunRecord.read(folder / RECORD).sweeps | record.sweeps
        write_atomically(folder / RECORD, record.to_json())
