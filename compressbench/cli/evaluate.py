"""`compressbench evaluate`: measure a packed file again, beside the figures it notes. Nothing is written or tracked."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from compressbench.cli.inspect import for_people
from compressbench.core.data import Shape
from compressbench.core.errors import Fault, PlanError, RunError
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


def print_evaluation(file: str, overrides: Sequence[str], console: Console) -> int:
    """Measure the file and print the figures beside the noted ones; return 1 if they disagree, else 0.

    PlanError for a file, a dataset or a device that cannot be used, or images that the network does not take.
    """
    path = Path(file)
    with for_people():
        subject, note = packed_file.read(path), packed_file.note(path)
    wanted = evaluation(overrides, note.get("dataset"))
    device = _ready(wanted)
    check_images(subject, wanted.dataset.input_shape, wanted.dataset.classes)
    found = _measured(subject, path, wanted, device)
    noted, as_noted = note.get("measured"), wanted.as_noted(note)
    grid, disagree = _compared(found, noted if isinstance(noted, dict) else {}, as_noted)
    console.print(f"{path.name} on {wanted.dataset.name}, {device}", style="bold", highlight=False)
    console.print(rich_grid(grid))
    if not noted:
        console.print("the file notes no figures")
    elif not as_noted:
        console.print("its accuracies were measured on other data, or data that was prepared in another way")
    else:
        console.print(f"not as the file notes: {', '.join(disagree)}" if disagree else "all is as the file notes")
    return 1 if disagree else 0


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
    try:
        return evaluate(metrics, subject, path, wanted.task, test, shape, device, baseline)
    except ValueError as error:
        raise RunError(str(error)) from error


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
