"""Where a run writes. Needs no torch."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from compressbench.core.paths import SHORT_ID, found_run

if TYPE_CHECKING:
    from compressbench.core.plan import Plan

from compressbench.core.atomic import write_atomically
from compressbench.core.errors import PlanError
from compressbench.core.lock import alone
from compressbench.core.record import RunRecord

RECORD, WEIGHTS = "record.json", "model.cbp"
STAGE, CHECKPOINTS = "stage.json", "training"
"""In the cache, in a stage's folder: what is known of it, and the checkpoints of a training until it is stored."""
LONGEST_PART = 60


def run_folder(outputs: Path, plan: Plan) -> Path:
    """Return the folder of a run's record and final file: the one it lies in already, or a new one.

    Named `<dataset>_<protocol>_seed0_<id>`; id: the first digits of the plan's identity, which the record has in full.
    """
    row, plan_id = outputs / "runs" / plan.table / plan.row, plan.plan_id()
    return found_run(row, plan_id) or row / f"{_words(plan)}_{plan_id[:SHORT_ID]}"


def make_outputs(outputs: Path) -> None:
    """Make the folder of the runs. PlanError if that cannot be."""
    try:
        outputs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlanError.of("outputs", f"cannot be written: {error.filename}: {error.strerror}") from error


def write_record(record: RunRecord, folder: Path) -> None:
    """Write a run's record. It stays a point of the sweeps that the one there belongs to, whoever writes meanwhile."""
    with alone(folder / "record.lock"):
        with suppress(OSError, ValueError):  # none yet, or a damaged one, which this one replaces
            record.sweeps = RunRecord.read(folder / RECORD).sweeps | record.sweeps
        write_atomically(folder / RECORD, record.to_json())


def _words(plan: Plan) -> str:
    said = (part for part in (plan.dataset.name, plan.protocol) if part)
    return "_".join([*(re.sub(r"[^\w.-]+", "-", part)[:LONGEST_PART] for part in said), f"seed{plan.seed}"])


def stage_lock(stages: Path, stage_id: str) -> Path:
    """Return the lock of a stage, beside its folder below `stages`."""
    return stages / f".{stage_id}.lock"
