"""From indexable collections of (inputs, target) to splits, checked, and to a fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy
import torch

from compressbench.core.data import Split, Splits
from compressbench.core.errors import PlanError
from compressbench.core.identity import essence
from compressbench.core.task import Task, tensors
from compressbench.data._selection import EmptySplit, held_out
from compressbench.data.mapped import MappedSplit

LOOKED_AT = 200
"""Examples of each split that a fingerprint covers, evenly spaced, where not all are read anyway."""


def splits_of(
    name: str, task: Task, made: Mapping[str, Any], validation_share: float, in_memory: bool, workers: int
) -> Splits:
    """Return the splits; without a `validation` this share of `train` is held out, always the same examples.

    PlanError if there are no examples to train or test on, and, where they are kept in memory, for all that do not fit.
    """
    for split in ("train", "test"):
        if not len(made[split]):
            raise PlanError.of(f"dataset.{split}", f"gives no examples; {name} cannot do without")
    train, out = held_out(numpy.zeros(len(made["train"]), numpy.int64), round(validation_share * len(made["train"])))
    chosen = {split: range(len(examples)) for split, examples in made.items()} | {"train": train.tolist()}
    sources = dict(made)
    if "validation" in made:
        chosen["train"] = range(len(made["train"]))
    elif len(out):
        sources["validation"], chosen["validation"] = made["train"], out.tolist()
    if not len(chosen["train"]):
        what = f"is {validation_share}, which leaves none of the {len(out)} training examples to train on"
        raise PlanError.of("dataset.validation_share", what)
    found: dict[str, Split] = {}
    for split, examples in sources.items():
        mapped = MappedSplit(examples, chosen[split], task, f"dataset.{split}", workers)
        found[split] = mapped.in_memory() if in_memory else mapped
    nothing = EmptySplit(f"{name} has no validation examples; say where they are, or a validation_share of more than 0")
    return Splits(found["train"], found.get("validation", nothing), found["test"])


def fingerprint(task: Task, made: Mapping[str, Any], whole: bool) -> str:
    """Return digits of the task, of how many examples there are, and of what they hold: all of them if `whole`, else
    `LOOKED_AT` of each split."""
    found = hashlib.sha256(f"{task.name} {essence(task)}".encode())
    for split, examples in made.items():
        found.update(f"{split} {len(examples)}".encode())
        mapped = MappedSplit(examples, range(len(examples)), task, f"dataset.{split}")
        looked_at = mapped if whole else mapped.limit(LOOKED_AT)
        for inputs, targets in looked_at.batches(LOOKED_AT) if len(examples) else ():
            for each in (*tensors(inputs), targets):
                found.update(each.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]
