"""Records of version 0.2 become today's: keys move, figures stay."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from compressbench.core.record import RunRecord

SCRIPT = Path(__file__).parents[1] / "docs" / "migrate_0_2.py"
TRAINING = {"epochs": 4, "batch_size": 32, "lr": 0.01, "loss": "cross_entropy"}


def stage(name: str, kind: str, **measurements: float) -> dict[str, Any]:
    figures: dict[str, Any] = {"measurements": measurements, "units": dict.fromkeys(measurements, "count")}
    return {"name": name, "kind": kind, "stage_id": f"id of {name}", **figures, "curve": [{"epoch": 1.0, "lr": 0.1}]}


def old_record() -> dict[str, Any]:
    stages = {
        "train": {"technique": "tuning/from_scratch", **TRAINING, "init": "torch"},
        "prune": {"technique": "pruning/magnitude", "layers": ["conv"], "ratio": 0.5, "keep": ["conv1"]},
        "scratch": {"technique": "tuning/rewind", **TRAINING, "to": "random", "budget": "epochs"},
    }
    return {
        **{"recipe": "mine/row", "table": "mine", "row": "row", "protocol": "reduced", "seed": 3, "plan_id": "abc"},
        "plan": {"stages": stages, "measures": ["accuracy"], "limits": {"images": None}, "budget": {"macs": None}},
        **{"reference": {}, "dataset": {"name": "mnist", "train_images": 60_000}, "environment": {"torch": "2"}},
        "stages": [
            stage("train", "tuning/from_scratch", top1=0.91, params=100),
            stage("prune", "pruning/magnitude", top1=0.87, size_bytes=512),
            stage("scratch", "tuning/rewind", top1=0.9, latency_onnx_b1_ms=2.5, latency_onnx_agreement=0.99),
        ],
        "changed": {"stages.train.epochs": "4", "stages.prune.keep": "[conv1]"},
        **{"sweep": "31e6", "swept": {"stages.prune.layers": "[conv]"}, "version": 1},
    }


def test_a_record_of_version_0_2_is_read_after_it_was_moved_and_no_figure_changed(tmp_path: Path) -> None:
    path, old = tmp_path / "runs" / "record.json", old_record()
    path.parent.mkdir()
    path.write_text(json.dumps(old))
    subprocess.run([sys.executable, str(SCRIPT), str(tmp_path)], check=True, capture_output=True)
    record = RunRecord.read(path)
    assert [found.metrics for found in record.stages] == [found["measurements"] for found in old["stages"]]
    assert [found.kind for found in record.stages] == [
        "training/from_scratch",
        "pruning/magnitude",
        "training/reinitialize",
    ]
    assert record.plan["stages"] == {
        "train": {"technique": "training/from_scratch", "training": TRAINING | {"loss": None}, "init": "torch"},
        "prune": {"technique": "pruning/magnitude", "targets": ["conv"], "ratio": 0.5, "ignore": ["conv1"]},
        "scratch": {
            "technique": "training/reinitialize",
            "training": TRAINING | {"loss": None},
            "budget": "epochs",
        },
    }
    assert record.changed == {"stages.train.training.epochs": "4", "stages.prune.ignore": "[conv1]"}
    assert record.sweeps == {"31e6": {"stages.prune.targets": "[conv]"}}
    assert record.dataset["train_examples"] == 60_000
    assert record.metric_specs["latency_onnx_b1_ms"].unit == "ms"
    assert record.primary == "top1"


def test_a_record_that_was_moved_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(old_record()))
    for _ in range(2):
        subprocess.run([sys.executable, str(SCRIPT), str(tmp_path)], check=True, capture_output=True)
        moved = path.read_text()
    assert path.read_text() == moved
    assert RunRecord.read(path).seed == 3
