"""Every metric of the catalogue, through what the runner calls."""

import importlib
from pathlib import Path

import pytest
import torch
import yaml

from compressbench.core.architecture import Architecture
from compressbench.core.identity import digest
from compressbench.core.metric import EvaluationInput, MetricValue
from compressbench.core.subject import Subject
from compressbench.data.tasks.image_classification import ImageClassification

CONF = Path(__file__).parents[2] / "conf"
NAMES = {
    "accuracy": {"top1", "top5", "loss"},
    "parameters": {"params", "params_nonzero", "params_without_bn", "params_without_bn_nonzero"},
    "macs": {"macs", "macs_nonzero"},
    "flops_survey": {"flops_survey"},
    "size": {"size_bytes"},
}


@pytest.fixture
def given(tmp_path: Path) -> EvaluationInput:
    arguments = {"in_channels": 1, "classes": 10, "batch_norm": True, "dropout": 0.5, "conv_bias": True, "hidden": [8]}
    architecture = Architecture("compressbench.zoo.alexnet.AlexNet", arguments)
    file = tmp_path / "model.cbp"
    file.write_bytes(b"12345")
    return EvaluationInput(
        subject=Subject(architecture.build().eval(), architecture),
        task=(task := ImageClassification([1, 32, 32], 10)),
        example=task.example(),
        test_batches=lambda: iter([(torch.zeros(4, 1, 32, 32), torch.arange(4))]),
        file=file,
        baseline=lambda: Subject(architecture.build().eval(), architecture),
    )


def measure(name: str, given: EvaluationInput) -> list[MetricValue]:
    node = yaml.safe_load((CONF / "metric" / f"{name}.yaml").read_text())
    module, _, kind = node.pop("_target_").rpartition(".")
    metric = getattr(importlib.import_module(module), kind)(**node)
    assert digest(metric)
    found: list[MetricValue] = metric.measure(given)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_measure_gives_its_names_as_plain_numbers(name, given):
    found = measure(name, given)
    assert {metric_value.name for metric_value in found} == NAMES[name]
    assert all(type(metric_value.value) in (int, float) for metric_value in found)


@pytest.mark.parametrize("name", NAMES)
def test_a_measure_leaves_the_subject_in_evaluation_mode_and_unchanged(name, given):
    model = given.subject.model
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    measure(name, given)
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


def test_only_accuracies_are_better_when_higher(given):
    better = {m.name for name in NAMES for m in measure(name, given) if m.spec.higher_is_better}
    assert better == {"top1", "top5"}


def test_units_say_what_the_numbers_are(given):
    units = {m.name: m.spec.unit for name in NAMES for m in measure(name, given)}
    assert (units["top1"], units["loss"], units["params"], units["size_bytes"]) == (
        "fraction",
        "nats",
        "count",
        "bytes",
    )


def test_every_measure_of_the_catalogue_is_tried_here():
    slow = {"latency"}  # tried in test_latency
    assert {path.stem for path in (CONF / "metric").glob("*.yaml")} == NAMES.keys() | slow
