"""`training.hold_out: false`: every training image is trained on, so that none is there to choose by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from compressbench.core.data import HELD_OUT, Dataset, holds_out
from compressbench.core.errors import Fault
from compressbench.core.plan import Stage
from compressbench.core.training import trainings_in


def nothing_held_out(dataset: Dataset, overrides: Sequence[str]) -> tuple[Dataset, list[Fault]]:
    """Return the dataset without held-out images, and what is against it: a dataset that cannot do without, and a
    number of images that is given on the command line all the same."""
    keys = [key for key in HELD_OUT if hasattr(dataset, key)]
    if not keys:
        what = f"is false, but {dataset.name} always holds images out; allowed here: training.hold_out=true"
        return dataset, [Fault("training.hold_out", what)]
    given = {key.lstrip("+"): value for key, _, value in (override.partition("=") for override in overrides)}
    faults = [
        Fault(
            f"dataset.{key}",
            f"is {given[f'dataset.{key}']}, but training.hold_out is false, so no training images are held out; "
            "leave it out, or add training.hold_out=true",
        )
        for key in keys
        if f"dataset.{key}" in given and getattr(dataset, key)
    ]
    changes: Any = dict.fromkeys(keys, 0)
    return replace(dataset, **changes), faults  # type: ignore[type-var]


def choice_faults(stages: Sequence[Stage], dataset: Dataset, hold_out: bool) -> list[Fault]:
    """Return a fault if trainings choose their best epoch and no training images are held out for that."""
    choosing = [
        f"stages.{stage.name}" for stage in stages if any(training.select == "best" for training in trainings_in(stage))
    ]
    if not choosing:
        return []
    what = f"so no validation images are there for select: best ({', '.join(choosing)}); allowed: select: last, or"
    if not hold_out:
        return [Fault("training.hold_out", f"is false, {what} training.hold_out=true")]
    if not holds_out(dataset):
        return [Fault(f"dataset.{HELD_OUT[0]}", f"is 0, {what} more than 0 with training.hold_out=true")]
    return []
