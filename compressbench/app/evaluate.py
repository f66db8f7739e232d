"""Measuring a packed file again, beside the figures it notes. Nothing is written or tracked."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple

import torch

from compressbench.app.inspect import for_people
from compressbench.core.data import Shape
from compressbench.core.errors import Fault, PlanError
from compressbench.core.metric import MetricValue
from compressbench.core.subject import Subject
from compressbench.packing import packed_file
from compressbench.planning.evaluation import Evaluation, evaluation
from compressbench.reporting.page import Grid
from compressbench.reporting.render import rich_grid
from compressbench.running.environment import usable_device
from compressbench.running.evaluate import evaluate, reads_file

TOLERANCE = 1e-3
"""How far a figure on the test split may be off on another machine, whose sums round otherwise: one image in a
thousand, and as much of a loss. What only depends on the network is the same everywhere."""


class Evaluated(NamedTuple):
    """What was found. on: the dataset and the device. grid: the figures beside those noted. noted: whether the file
    notes any. as_noted: whether they were measured on the same data. disagree: names of those that are not as noted.
    """

    on: str
    grid: Grid
    noted: bool
    as_noted: bool
    disagree: list[str]

    def table(self) -> Any:
        """Return the figures, for a console."""
        return rich_grid(self.grid)


def evaluate_file(file: Path, overrides: Sequence[str] = ()) -> Evaluated:
    """Measure the file.

    PlanError for a file, a dataset or a device that cannot be used, or images that the network does not take.
    """
    with for_people():
        subject, note = packed_file.read(file), packed_file.note(file)
    wanted = evaluation(overrides, note.get("dataset"))
    device = _ready(wanted)
    check_images(subject, wanted.dataset.input_shape, wanted.dataset.classes)
    found = _measured(subject, file, wanted, device)
    noted, as_noted = note.get("measured"), wanted.as_noted(note)
    grid, disagree = _compared(found, noted if isinstance(noted, dict) else {}, as_noted)
    return Evaluated(f"{wanted.dataset.name}, {device}", grid, bool(noted), as_noted, disagree)


def check_images(subject: Subject, input_shape: Shape, classes: int | None) -> None:
    """Raise PlanError unless the network takes images of this shape and tells as many classes apart (None: any)."""
    shape = " x ".join(map(str, input_shape))
    try:
        with torch.inference_mode():
            logits = subject.model(torch.zeros(1, *input_shape))
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PlanError.of("dataset", f"the network does not take images of {shape}: {reason}") from error
    if classes is not None and logits.shape != (1, classes):
        raise PlanError.of("dataset", f"has {classes} classes, but the network gives {list(logits.shape[1:])}")


def _ready(wanted: Evaluation) -> torch.device:
    """Return the device. PlanError if it is not there, or the data is not, or a metric asks for more than a file."""
    faults = [
        Fault("metrics", f"{name} needs the network before compression, which the file does not hold; leave it out")
        for name, metric in wanted.metrics
        if getattr(metric, "needs_baseline", False)
    ]
    if reason := wanted.dataset.missing():
        faults.append(Fault("dataset", reason))
    device, unusable = usable_device(wanted.device, wanted.threads)
    if faults := faults + unusable:
        raise PlanError(faults)
    return device


def _measured(subject: Subject, path: Path, wanted: Evaluation, device: torch.device) -> list[MetricValue]:
    """Return every figure, those that look at the file itself last."""

    def baseline() -> Subject:
        raise AssertionError("`_ready` refuses metrics that need one")

    test, shape = wanted.dataset.load().test, wanted.dataset.input_shape
    metrics = sorted(wanted.metrics, key=lambda named: reads_file(named[1]))
    return evaluate(metrics, subject, path, wanted.task, test, shape, device, baseline)


def _compared(found: list[MetricValue], noted: dict[str, Any], as_noted: bool) -> tuple[Grid, list[str]]:
    """Return a table of the figures, and the names of those that are not as noted."""
    grid, disagree = Grid("", ["metric", "unit", "noted", "measured now", "verdict"], left=2), []
    for figure in found:
        before, spec = noted.get(figure.name), figure.spec
        if not isinstance(before, int | float):
            verdict, before = "", None
        elif not as_noted and spec.on_data:
            verdict = "other data"
        elif figure.value == before:
            verdict = "the same"
        elif spec.on_data and isclose(figure.value, before, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            verdict = "the same but for rounding"
        else:
            verdict = "differs"
            disagree.append(figure.name)
        shown = ["" if value is None else _text(value, spec.unit) for value in (before, figure.value)]
        grid.rows.append([figure.name, spec.unit, *shown, verdict])
    return grid, disagree


def _text(value: float, unit: str) -> str:
    return f"{value:,.0f}" if unit in ("count", "bytes") else f"{value:.6f}"
