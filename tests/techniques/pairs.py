"""One technique after another, of every kind, on a tiny network: it runs, or it is refused with a reason."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

import torch

import compressbench
from compressbench.core.plan import Stage
from compressbench.core.subject import Subject
from compressbench.core.task import feed
from compressbench.core.technique import Technique
from compressbench.packing.packed_file import read, write
from compressbench.planning.order import order_faults
from compressbench.testing.technique import check_same
from tests.techniques.lending import StageContext
from tests.techniques.test_contract import BEFORE, KINDS, build
from tests.techniques.tiny import tiny

PACKAGE = Path(compressbench.__file__).parent
QUICK = {"calibration_batches": 1, "calibration_batch_size": 16, "examples": 16, "correction_images": 16}
"""Values for fields whose larger ones only take longer."""
SIDE = 16
"""Of the images, in pixels."""


@dataclass
class After:
    """What stands before the second of a pair."""

    kinds: list[str]
    subject: Subject
    context: StageContext


def family(kind: str) -> str:
    return kind.partition("/")[0]


def others(first: str) -> list[str]:
    """Return every technique of another family."""
    return [kind for kind in KINDS if family(kind) != family(first)]


@functools.cache
def technique(kind: str) -> Technique:
    made = build(kind)
    fields = {field.name for field in dataclasses.fields(made)}  # type: ignore[arg-type]
    return dataclasses.replace(made, **{key: value for key, value in QUICK.items() if key in fields})  # type: ignore[type-var]


def stack(kind: str) -> list[str]:
    """Return a technique with what it works on, in order."""
    return [*([BEFORE[kind]] if kind in BEFORE else []), kind]


def declared_fault(kinds: list[str]) -> str:
    """Return why these cannot follow one another, as it is said before the start; or nothing."""
    stages = [Stage(f"s{number}", kind, technique(kind)) for number, kind in enumerate(kinds)]
    faults = [order_faults(stages, trained) for trained in (True, False)]
    return "" if not all(faults) else "; ".join(str(fault) for fault in faults[0])


def after(first: str) -> After:
    """Return what a technique makes of the tiny network."""
    context, subject = StageContext(side=SIDE), tiny()
    context.stages["start"] = tiny()
    for kind in stack(first):
        subject = technique(kind).apply(subject, context)
    return After(stack(first), subject, context)


def outcome(given: After, second: str) -> str:
    """Return why a technique is refused after others, or nothing if it runs and what it leaves is whole.

    A refusal is told by `planning.order`, or in words of ours by the technique, as a dry run hears them. Raises what
    else it raises, and AssertionError for what is not whole.
    """
    if fault := declared_fault([*given.kinds, second]):
        return fault
    try:
        subject = technique(second).apply(given.subject.clone(), given.context)
    except ValueError as error:
        if not Path(traceback.extract_tb(error.__traceback__)[-1].filename).is_relative_to(PACKAGE):
            raise
        return str(error)
    check_whole(subject, given.context)
    return ""


@torch.no_grad()
def check_whole(subject: Subject, context: StageContext) -> None:
    """Its promises hold, also after weights have moved, and its file decodes to the same network, bit for bit."""
    assert not subject.broken(), f"it breaks {subject.broken()}"
    for parameter in subject.model.parameters():
        parameter.mul_(1.01)
    subject.enforce()
    assert not subject.broken(), f"when weights have moved, it breaks {subject.broken()}"
    with tempfile.TemporaryDirectory() as folder:
        write(subject, Path(folder, "model.cbp"))
        decoded = read(Path(folder, "model.cbp"))
    check_same(decoded, subject)
    found = [feed(each.model.eval(), context.inputs) for each in (decoded, subject)]
    assert torch.equal(*found), "the decoded network gives other outputs"
