"""The packed file as a model of MLflow's: a few lines beside it say who loads it, so it is stored once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compressbench.core.identity import digest
from compressbench.core.record import RunRecord

FOLDER = "model"
"""What MLflow calls it: `runs:/ID/model`."""
PACKED = "model.cbp"
HISTORY = "mlflow.log-model.history"
"""The tag by which MLflow's pages know which artifacts are models, and offer to register them."""
LOADER = "compressbench.app.pyfunc"
LARGEST_BYTES = 50_000_000
"""Weights above this stay where they are: MLflow's copy would be the second of something large."""


def model_files(record: RunRecord, folder: Path) -> dict[str, Path | str]:
    """Return the files of the model by their names among the artifacts; none without a packed file to copy."""
    if not is_copied(folder):
        return {}
    # JSON is YAML, which is what MLflow reads here.
    return {f"{FOLDER}/MLmodel": json.dumps(_described(record), indent=1), f"{FOLDER}/{PACKED}": folder / PACKED}


def model_tags(record: RunRecord, folder: Path) -> dict[str, str]:
    """Return the tag that says that the run has a model."""
    return {HISTORY: json.dumps([_described(record)])} if record.status == "finished" and is_copied(folder) else {}


def is_copied(folder: Path) -> bool:
    packed = folder / PACKED
    return packed.is_file() and packed.stat().st_size <= LARGEST_BYTES


def left_out(folder: Path) -> str:
    """Return why MLflow has no copy of the packed file, empty if it has, or if there is none."""
    packed = folder / PACKED
    if not packed.is_file() or is_copied(folder):
        return ""
    size = packed.stat().st_size
    return (
        f"**No model here:** {PACKED} takes {size:,} bytes, more than {LARGEST_BYTES:,}, and stays beside the record."
    )


def _described(record: RunRecord) -> dict[str, Any]:
    """Return what an `MLmodel` file says. config: what `load_model(..., model_config=)` may set."""
    return {
        "artifact_path": FOLDER,
        "flavors": {"python_function": {"loader_module": LOADER, "data": PACKED, "config": {"plugins": []}}},
        "model_uuid": digest([record.plan_id, "model"], length=32),
        "utc_time_created": _utc(record.started),
        "metadata": {"recipe": record.recipe, "seed": record.seed, "plan_id": record.plan_id},
    }


def _utc(started: str) -> str:
    try:
        when = datetime.fromisoformat(started).astimezone(UTC)
    except ValueError:
        when = datetime.fromtimestamp(0, UTC)
    return when.strftime("%Y-%m-%d %H:%M:%S.%f")
