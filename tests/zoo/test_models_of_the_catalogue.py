"""Every network in conf/model, built as a recipe would build it."""

from pathlib import Path

import pytest
import torch
import yaml

from compressbench.core.architecture import Architecture, parameters_of, taken
from compressbench.core.data import Dataset
from compressbench.data.diabetes import Diabetes
from compressbench.data.digits_rows import DigitsRows
from compressbench.data.python_topics import PythonTopics

MODELS = sorted((Path(__file__).parents[2] / "conf" / "model").glob("*.yaml"))
SIDES = {
    "lenet5": 28,
    "lenet_300_100": 28,
    "alexnet": 32,
    "alexnet_bnd": 32,
    "alexnet_slimming": 32,
    "alexnet_wide": 32,
    "vgg16_cifar": 32,
    "fitnet4": 32,
    "fitnets_teacher": 32,
}


OF_OTHER_TASKS: dict[str, type[Dataset]] = {
    "gpt": PythonTopics,
    "lstm_classifier": DigitsRows,
    "lstm_language_model": PythonTopics,
    "mlp": Diabetes,
}
"""Networks that do not take pictures, and data they are for."""


@pytest.mark.parametrize("name", OF_OTHER_TASKS)
def test_a_network_of_another_task_takes_what_the_task_says_and_gives_what_it_scores(name):
    node = yaml.safe_load((MODELS[0].parent / f"{name}.yaml").read_text())
    assert node.pop("weights") is None
    entry = yaml.safe_load(
        (MODELS[0].parents[1] / "dataset" / f"{OF_OTHER_TASKS[name].__module__.rpartition('.')[2]}.yaml").read_text()
    )
    entry.pop("_target_")
    task, target = OF_OTHER_TASKS[name](**entry).task, node.pop("_target_")
    known = parameters_of(Architecture(target).builder(), target)
    network = Architecture(target, taken(task.arguments(), known) | node).build().eval()
    inputs, targets = task.random_batch(3, torch.Generator().manual_seed(0))
    outputs = network(inputs)
    assert task.fault(outputs, 3) is None
    assert torch.isfinite(next(iter(task.losses.values()))(outputs, targets))


@pytest.mark.parametrize("path", [p for p in MODELS if p.stem not in OF_OTHER_TASKS], ids=lambda path: path.stem)
def test_a_network_of_the_catalogue_builds_and_runs(path):
    node = yaml.safe_load(path.read_text())
    assert node.pop("weights") is None
    architecture = Architecture(node.pop("_target_"), {**node, "in_channels": 1, "classes": 7})
    with torch.device("meta"):
        network = architecture.build().eval()
        side = SIDES.get(path.stem, 224)
        assert network(torch.zeros(2, 1, side, side)).shape == (2, 7)
