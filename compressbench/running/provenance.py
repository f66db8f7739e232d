"""What a packed file says about itself: where its network comes from, and its measured figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compressbench.core.data import class_names, measured_on, preprocessing
from compressbench.core.identity import essence
from compressbench.core.plan import Plan, Stage
from compressbench.packing import feeding, packed_file
from compressbench.running.cache import StageResult


def origin(plan: Plan, index: int) -> dict[str, Any]:
    """Return the plan of a network up to and including a stage, as far as it decides what comes out."""
    found = {
        "dataset": {"name": plan.dataset.name, **essence(plan.dataset)},
        "seed": plan.seed,
        "stages": {stage.name: _decisive(stage) for stage in plan.stages[: index + 1]},
    }
    decisive = {"weights": plan.model.weights_id(), "limits": essence(plan.limits)}
    return found | {key: value for key, value in decisive.items() if value}


def _decisive(stage: Stage) -> dict[str, Any]:
    """Return technique and parameters of a stage that decide what comes out, and those of its distillation."""
    found = {"technique": stage.kind, **essence(stage.technique)}
    return found if stage.distill is None else {**found, "distill": _decisive(stage.distill)}


def fed(plan: Plan) -> dict[str, Any]:
    """Return how the network is fed, what its outputs are called, and what its accuracy is measured on."""
    dataset = plan.dataset
    found = feeding.noted(preprocessing(dataset), class_names(dataset))
    return {**found, "measured_on": measured_on(dataset, plan.limits.examples)}


def sign(file: Path, plan: Plan, index: int, result: StageResult) -> None:
    """Write a stage's origin, how its network is fed and the figures measured so far into its file, once: its length
    stays afterwards. Of the figures only counts and those on the test split, which are the same whenever they are
    measured, so that equal networks are equal files."""
    if packed_file.note(file):
        return
    kept = {spec.name for spec in plan.metric_specs.values() if spec.on_data or spec.unit == "count"}
    measured = {name: value for found in result.measured.values() for name, value in found.items() if name in kept}
    packed_file.rewrite_note(file, {**origin(plan, index), **fed(plan), "measured": measured})
