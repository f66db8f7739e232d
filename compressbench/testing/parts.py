"""What a metric, a dataset and a network owe to the runner."""

from __future__ import annotations

import inspect
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from compressbench.core.architecture import Architecture, taken
from compressbench.core.data import Dataset, Split
from compressbench.core.identity import essence
from compressbench.core.metric import EvaluationInput, Metric
from compressbench.core.subject import Subject
from compressbench.core.task import Task, feed, tensors
from compressbench.packing.packed_file import write
from compressbench.testing.made_up import MadeUpContext, image_classification, seeded, untrained_network
from compressbench.testing.technique import check_packed, check_same, check_trainable, opened, random_states

BATCH = 8


def metric_contract(metric: Metric, subject: Subject | None = None, task: Task | None = None) -> None:
    """Check a metric on an untrained network and made-up data. AssertionError, in a sentence, for what it breaks.

    subject: what it measures; a small ResNet if left out. task: what that is for.
    """
    given, task = subject or untrained_network(), task or image_classification()
    given.model.eval()
    essence(metric)  # TypeError for a field that cannot be part of an identity
    context, states = MadeUpContext(task), random_states()
    before = given.clone()
    with tempfile.TemporaryDirectory() as folder, opened(type(metric)):
        file = Path(folder, "model.cbp")
        write(given, file)
        batches = [(context.inputs, context.targets)]
        evaluated = EvaluationInput(given, task, task.example(), lambda: batches, file, given.clone)
        found, again = _measured(metric, evaluated), _measured(metric, evaluated)
    specs = {spec.name: spec for spec in metric.specs(task)}
    assert list(found) == list(specs), f"it measures {list(found)}, but its specs are {list(specs)}"
    for name, value in found.items():
        assert math.isfinite(value), f"{name} is {value}"
        same = value == again[name] or specs[name].unit == "ms"  # no time is measured twice
        assert same, f"{name} is {value}, and {again[name]} when it is measured again"
    check_same(given, before)
    assert not given.model.training, "it leaves the network in training mode"
    assert random_states() == states, "it draws from a global generator"


def _measured(metric: Metric, given: EvaluationInput) -> dict[str, float]:
    return {each.name: each.value for each in metric.measure(given)}


def dataset_contract(dataset: Dataset) -> None:
    """Check a dataset whose data is there. AssertionError, in a sentence, for what it breaks."""
    essence(dataset)  # TypeError for a field that cannot be part of an identity
    assert dataset.missing() is None, dataset.missing()
    states = random_states()
    for digits in (dataset.fingerprint, dataset.test_fingerprint):
        assert digits() == digits() != "", f"{digits.__name__} is not always the same"
    splits, again = dataset.load(), dataset.load()
    for name, split in vars(splits).items():
        _check_split(split, getattr(again, name), dataset.task, name)
    assert random_states() == states, "it draws from a global generator"


def _check_split(split: Split, again: Split, task: Task, name: str) -> None:
    assert len(split) > 0, f"{name} is empty"
    few, count = split.limit(BATCH), min(BATCH, len(split))
    assert len(few) == count, f"{name}.limit({BATCH}) has {len(few)} examples"
    batches = list(few.batches(BATCH))
    assert sum(len(targets) for _, targets in batches) == count, f"{name} leaves examples out"
    for inputs, _ in batches:
        found, wanted = [[each.shape[1:] for each in tensors(part)] for part in (inputs, task.example())]
        assert found == wanted, f"{name} gives inputs of {found}; its task says {wanted}"
    _check_equal(batches, list(again.limit(BATCH).batches(BATCH)), f"{name}, loaded twice, in order")
    drawn, redrawn = (list(few.batches(BATCH, torch.Generator().manual_seed(3))) for _ in range(2))
    _check_equal(drawn, redrawn, f"{name} with the same generator")


def _check_equal(first: Any, second: Any, what: str) -> None:
    for (inputs, targets), (others, other_targets) in zip(first, second, strict=True):
        pairs = [*zip(tensors(inputs), tensors(others), strict=True), (targets, other_targets)]
        assert all(torch.equal(one, other) for one, other in pairs), f"{what}, gives other batches"


def network_contract(network: type | Callable[..., Any], task: Task | None = None, **arguments: Any) -> None:
    """Check a network, given as its class or the function that builds it, on made-up data. AssertionError, in a
    sentence, for what it breaks.

    task: what it is for: it gets what that says and it takes (`in_channels`, `classes`, ...). arguments: its others.
    """
    task, target = task or image_classification(), f"{network.__module__}.{network.__qualname__}"
    said = taken(task.arguments(), inspect.signature(network).parameters)
    architecture = Architecture(target, said | arguments)
    states = random_states()
    with opened(network):
        subject = Subject(seeded(architecture.build), architecture)
        context = MadeUpContext(task)
        outputs = feed(subject.model.eval(), context.inputs)
        fault = task.fault(outputs, len(context.targets))
        assert fault is None, fault
        check_trainable(subject)
        check_packed(subject, context)
    assert random_states() == states, "it draws from a global generator while it is used"
