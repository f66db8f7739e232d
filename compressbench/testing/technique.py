"""What every technique owes to the runner. Our own tests ask the same, of every technique of the catalogue."""

from __future__ import annotations

import dataclasses
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from compressbench.core.plugins import only
from compressbench.core.subject import Subject
from compressbench.core.task import Task, feed
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.packing.packed_file import read, write
from compressbench.testing.made_up import MadeUpContext, image_classification, untrained_network

TRAINING = TrainingConfig(epochs=1, batch_size=8, lr=0.01, optimizer="sgd", schedule="constant", weight_decay=0.0)


def technique_contract(
    technique: Technique,
    subject: Subject | None = None,
    task: Task | None = None,
    before: Sequence[Technique] = (),
) -> None:
    """Check a technique on an untrained network and made-up data. AssertionError, in a sentence, for what it breaks.

    subject: what it is applied to; a small ResNet if left out. task: what that is for. before: what is applied first,
    for a technique that works on another one's result.
    """
    given, task = subject or untrained_network(), task or image_classification()
    with opened(type(technique)):
        check_declaration(technique)
        check_ranges(technique)
        made = apply(technique, given, task, before)
        check_random_state(made)
        check_same(made.subject, apply(technique, given, task, before).subject)
        check_trainable(made.subject)
        check_constraints(made.subject, MadeUpContext(task))
        check_packed(made.subject, MadeUpContext(task))


def opened(code: Any) -> AbstractContextManager[None]:
    """Let files name the package that a class or function comes from, as if it were a plugin that was asked for."""
    top = sys.modules[code.__module__.partition(".")[0]]
    return only([top] if top.__name__ not in ("compressbench", "__main__") else [])


class Applied(NamedTuple):
    """What a technique made of a subject, and the global random states before and after."""

    subject: Subject
    states_before: tuple[bytes, ...]
    states_after: tuple[bytes, ...]


def apply(technique: Technique, given: Subject, task: Task, before: Sequence[Technique] = ()) -> Applied:
    """Return what it makes of a copy of `given`, after what comes before it."""
    context, subject = MadeUpContext(task), given.clone()
    context.stages["start"] = given.clone()
    for earlier in before:
        subject = earlier.apply(subject, context)
    states = random_states()
    return Applied(technique.apply(subject, context), states, random_states())


def random_states() -> tuple[bytes, ...]:
    """Return the states of every global generator."""
    drawn: Any = np.random.get_state()
    return torch.get_rng_state().numpy().tobytes(), drawn[1].tobytes(), repr(random.getstate()).encode()


def check_declaration(technique: Technique) -> None:
    """It is a frozen dataclass that says, in known words, what it needs, adds and refuses."""
    kind = type(technique)
    assert issubclass(kind, Technique), f"{kind.__name__} does not inherit from Technique"
    assert dataclasses.is_dataclass(kind), f"{kind.__name__} is no dataclass"
    frozen = kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert frozen, f"{kind.__name__} is not frozen, so its identity could change"
    unknown = (kind.needs | kind.adds | kind.refuses) - Technique.TRAITS
    assert not unknown, f"needs, adds or refuses say {sorted(unknown)}; allowed: {sorted(Technique.TRAITS)}"
    assert kind.adds, "a technique that adds nothing does nothing"


def check_ranges(technique: Technique) -> None:
    """A number out of range is refused by a ValueError that names its key."""
    values = {field.name: getattr(technique, field.name) for field in dataclasses.fields(technique)}  # type: ignore[arg-type]
    for key, value in values.items():
        wrong: list[Any] = [-1] if isinstance(value, int | float) and not isinstance(value, bool) else []
        for other in [*wrong, *([1.0, 1.5, float("nan")] if key == "ratio" else [])]:
            said = _refusal(type(technique), {**values, key: other})
            assert said is not None, f"{key}={other} is not refused; raise ValueError in __post_init__"
            assert key in said, f"{key}={other} is refused, but the message does not name the key: {said}"


def _refusal(kind: type[Technique], values: dict[str, Any]) -> str | None:
    try:
        kind(**values)
    except ValueError as error:
        return str(error)
    return None


def check_random_state(made: Applied) -> None:
    """It draws from `context.generator` only."""
    same = made.states_after == made.states_before
    assert same, "it draws from a global generator; draw from context.generator"


def check_same(first: Subject, second: Subject) -> None:
    """Two subjects have the same weights: the same seed gives the same result."""
    ours, theirs = first.model.state_dict(), second.model.state_dict()
    assert ours.keys() == theirs.keys(), f"other tensors: {sorted(ours.keys() ^ theirs.keys())}"
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), f"{name} differs"


def check_trainable(subject: Subject) -> None:
    """What it leaves can be trained on."""
    for name, parameter in subject.model.named_parameters():
        assert parameter.requires_grad, f"{name} cannot be trained any more"
        assert parameter.is_leaf, f"{name} is computed from other tensors"


def check_constraints(subject: Subject, context: MadeUpContext) -> None:
    """Its constraints hold at once, and after a training. The subject is left as it is."""
    for constraint in subject.constraints:
        for name, value in vars(constraint).items():
            kept = f"{type(constraint).__name__} keeps {name}, a {type(value).__name__}"
            assert isinstance(value, str | torch.Tensor), f"{kept}; allowed: texts and tensors"
    assert not subject.broken(), f"its result breaks {subject.broken()}"
    trained = context.train(subject.clone(), TRAINING)
    assert not trained.broken(), f"after a training {trained.broken()} do not hold"


def check_packed(subject: Subject, context: MadeUpContext) -> None:
    """Its formats are of tensors there are, and the packed file decodes to the same network, bit for bit."""
    unknown = subject.formats.keys() - subject.model.state_dict().keys()
    assert not unknown, f"formats of tensors that are not there: {sorted(unknown)}"
    with tempfile.TemporaryDirectory() as folder:
        write(subject, Path(folder, "model.cbp"))
        decoded = read(Path(folder, "model.cbp"))
    check_same(decoded, subject)
    with torch.no_grad():
        outputs = [feed(each.model.eval(), context.inputs) for each in (decoded, subject.clone())]
    assert torch.equal(*outputs), "the decoded network gives other outputs"
