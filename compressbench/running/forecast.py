"""What a run will come to, as far as that can be known before it: exact figures, and seconds from earlier runs.

The stack is planned on two sets of weights that have nothing in common. A figure that comes out the same does not
depend on the weights, so it is what the run will measure; any other is left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

import torch

from compressbench.core.errors import Fault
from compressbench.core.plan import Plan, PlannedStage
from compressbench.core.record import RunRecord, StageRecord
from compressbench.running.dry_run import dry_run, other_subject, play
from compressbench.running.environment import environment
from compressbench.running.folders import RECORD
from compressbench.running.prediction import of_network_and_file

SAME_MACHINE = ("processor", "cores", "threads", "device")
"""What of an environment decides how long a training takes."""


def forecast(plan: Plan, outputs: Path, device: torch.device) -> tuple[list[PlannedStage], list[Fault]]:
    """Return what `dry_run` does, with bytes, without figures that depend on the weights, and with seconds."""
    count = of_network_and_file(plan)
    stages, faults = dry_run(plan, outputs, device, count)
    others, _ = play(plan, other_subject(plan), count)
    paces = _seconds_by_kind(plan, outputs, device)
    for stage, other in zip(stages, others, strict=True):
        stage.counts = {name: value for name, value in stage.counts.items() if other.counts.get(name) == value}
        pace = paces.get(stage.kind)
        stage.seconds = 0.0 if stage.cached else None if pace is None else pace * max(stage.epochs, 1)
    return stages, faults


def _seconds_by_kind(plan: Plan, outputs: Path, device: torch.device) -> dict[str, float]:
    """Return, by kind of stage, the median seconds of an epoch (of the stage, where it trains nothing) in earlier runs.

    They count if they ran on this machine with the same network, data, and limits on the steps and the examples.
    """
    here, wanted = environment(device), _work(plan.as_dict())
    found: dict[str, list[float]] = {}
    for file in sorted((outputs / "runs").rglob(RECORD)):
        try:
            record = RunRecord.read(file)
        except (OSError, ValueError):
            continue
        same = all(record.environment.get(key) == here[key] for key in SAME_MACHINE)
        if same and _work(record.plan) == wanted:
            for stage in record.stages:
                found.setdefault(stage.kind, []).append(_pace(stage))
    return {kind: median(seconds) for kind, seconds in found.items()}


def _work(plan: dict[str, Any]) -> str:
    """Return what of a plan decides how long an epoch takes, but for the technique."""
    limits = {key: plan.get("limits", {}).get(key) for key in ("steps", "examples")}
    network = {key: value for key, value in plan.get("model", {}).items() if key != "weights"}
    return json.dumps([network, plan.get("dataset"), limits], sort_keys=True)


def _pace(stage: StageRecord) -> float:
    """Return the median seconds of its epochs; of the whole stage if it trained nothing."""
    epochs = [entry["seconds"] for entry in stage.curve if "seconds" in entry]
    return median(epochs) if epochs else stage.seconds
