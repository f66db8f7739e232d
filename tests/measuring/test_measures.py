"""Every measure of the catalogue, through what the runner calls."""

import importlib
from pathlib import Path

import pytest
import torch
import yaml

from compressbench.core.architecture import Architecture
from compressbench.core.identity import digest
from compressbench.core.measurement import Measurement, Specimen
from compressbench.core.subject import Subject

CONF = Path(__file__).parents[2] / "conf"
NAMES = {
    "accuracy": {"top1", "top5", "loss"},
    "parameters": {"params", "params_nonzero", "params_without_bn", "params_without_bn_nonzero"},
    "macs": {"macs", "macs_nonzero"},
    "flops_survey": {"flops_survey"},
    "size": {"size_bytes"},
}


@pytest.fixture
def specimen(tmp_path: Path) -> Specimen:
    arguments = {"in_channels": 1, "classes": 10, "batch_norm": True, "dropout": 0.5, "conv_bias": True, "hidden": [8]}
    architecture = Architecture("compressbench.zoo.alexnet.AlexNet", arguments)
    file = tmp_path / "model.cbp"
    file.write_bytes(b"12345")
    return Specimen(
        subject=Subject(architecture.build().eval(), architecture),
        example=torch.zeros(1, 1, 32, 32),
        test_batches=lambda: iter([(torch.zeros(4, 1, 32, 32), torch.arange(4))]),
        file=file,
        baseline=lambda: Subject(architecture.build().eval(), architecture),
    )


def measure(name: str, specimen: Specimen) -> list[Measurement]:
    node = yaml.safe_load((CONF / "measure" / f"{name}.yaml").read_text())
    module, _, kind = node.pop("_target_").rpartition(".")
    measure = getattr(importlib.import_module(module), kind)(**node)
    assert digest(measure)
    found: list[Measurement] = measure.measure(specimen)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_measure_gives_its_names_as_plain_numbers(name, specimen):
    found = measure(name, specimen)
    assert {measurement.name for measurement in found} == NAMES[name]
    assert all(type(measurement.value) in (int, float) for measurement in found)


@pytest.mark.parametrize("name", NAMES)
def test_a_measure_leaves_the_subject_in_evaluation_mode_and_unchanged(name, specimen):
    model = specimen.subject.model
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    measure(name, specimen)
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


def test_only_accuracies_are_better_when_higher(specimen):
    better = {m.name for name in NAMES for m in measure(name, specimen) if m.higher_is_better}
    assert better == {"top1", "top5"}


def test_units_say_what_the_numbers_are(specimen):
    units = {m.name: m.unit for name in NAMES for m in measure(name, specimen)}
    assert (units["top1"], units["loss"], units["params"], units["size_bytes"]) == (
        "fraction",
        "nats",
        "count",
        "bytes",
    )


def test_every_measure_of_the_catalogue_is_tried_here():
    slow = {"latency"}  # tried in test_latency
    assert {path.stem for path in (CONF / "measure").glob("*.yaml")} == NAMES.keys() | slow
