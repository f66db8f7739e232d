"""What a packed file says about itself: where its network comes from, and its measured figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compressbench.core.data import class_names, measured_on, preprocessing
from compressbench.core.identity import essence
from compressbench.core.plan import Plan
from compressbench.packing import feeding, packed_file
from compressbench.running.cache import StageResult

REPRODUCIBLE = ("fraction", "count", "nats")
"""Units of figures that are the same whenever they are measured, so that equal networks are equal files."""


def origin(plan: Plan, index: int) -> dict[str, Any]:
    """Return the plan of a network up to and including a stage, as far as it decides what comes out."""
    found = {
        "dataset": {"name": plan.dataset.name, **essence(plan.dataset)},
        "seed": plan.seed,
        "stages": {
            stage.name: {"technique": stage.kind, **essence(stage.technique)} for stage in plan.stages[: index + 1]
        },
    }
    decisive = {"weights": plan.model.weights_id(), "limits": essence(plan.limits)}
    return found | {key: value for key, value in decisive.items() if value}


def fed(plan: Plan) -> dict[str, Any]:
    """Return how the network is fed, what its outputs are called, and what its accuracy is measured on."""
    dataset = plan.dataset
    found = feeding.noted(preprocessing(dataset), class_names(dataset))
    return {**found, "measured_on": measured_on(dataset, plan.limits.examples)}


def sign(file: Path, plan: Plan, index: int, result: StageResult) -> None:
    """Write a stage's origin, how its network is fed and the figures measured so far into its file, once: its length
    stays afterwards."""
    if packed_file.note(file):
        return
    figures = [metric_value for found in result.measured.values() for metric_value in found]
    measured = {figure.name: figure.value for figure in figures if figure.unit in REPRODUCIBLE}
    packed_file.rewrite_note(file, {**origin(plan, index), **fed(plan), "measured": measured})
