"""Measuring a packed file again, beside the figures it notes. Nothing is written or tracked."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple

import torch

from compressbench.app.inspect import for_people
from compressbench.core.errors import Fault, PlanError
from compressbench.core.metric import MetricValue
from compressbench.core.plugins import Told, only
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, Task, feed, shapes
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


def evaluate_file(file: Path, overrides: Sequence[str] = (), plugins: Sequence[Told] = ()) -> Evaluated:
    """Measure the file. plugins: those whose code it, or the overrides, may name.

    PlanError for a file, a dataset or a device that cannot be used, or inputs that the network does not take.
    """
    with only(plugins):
        return _evaluated(file, overrides)


def _evaluated(file: Path, overrides: Sequence[str]) -> Evaluated:
    with for_people():
        subject, note = packed_file.read(file), packed_file.note(file)
    wanted = evaluation(overrides, note.get("dataset"))
    device = _ready(wanted)
    check_fits(subject, wanted.dataset.task)
    found = _measured(subject, file, wanted, device)
    noted, as_noted = note.get("measured"), wanted.as_noted(note)
    grid, disagree = _compared(found, noted if isinstance(noted, dict) else {}, as_noted)
    return Evaluated(f"{wanted.dataset.name}, {device}", grid, bool(noted), as_noted, disagree)


def check_fits(subject: Subject, task: Task) -> None:
    """Raise PlanError unless the network takes the task's inputs and gives outputs that fit."""
    if fault := task.fault(answer(subject, task.example())):
        raise PlanError.of("dataset", f"is for {task.name}, but the network {fault}")


def answer(subject: Subject, example: Inputs) -> Any:
    """Return what the network makes of it. PlanError if it does not take such inputs."""
    try:
        with torch.inference_mode():
            return feed(subject.model, example)
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PlanError.of("dataset", f"the network does not take inputs of {shapes(example)}: {reason}") from error


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

    test, task = wanted.dataset.load().test, wanted.dataset.task
    metrics = sorted(wanted.metrics, key=lambda named: reads_file(named[1]))
    return evaluate(metrics, subject, path, test, task, device, baseline)


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
