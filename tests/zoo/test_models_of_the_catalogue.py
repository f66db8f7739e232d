"""Every network in conf/model, built as a recipe would build it."""

from pathlib import Path

import pytest
import torch
import yaml

from compressbench.core.architecture import Architecture

MODELS = sorted((Path(__file__).parents[2] / "conf" / "model").glob("*.yaml"))
SIDES = {
    "lenet5": 28,
    "lenet_300_100": 28,
    "alexnet": 32,
    "alexnet_bnd": 32,
    "alexnet_slimming": 32,
    "alexnet_wide": 32,
    "vgg16_cifar": 32,
}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_network_of_the_catalogue_builds_and_runs(path):
    node = yaml.safe_load(path.read_text())
    assert node.pop("weights") is None
    architecture = Architecture(node.pop("_target_"), {**node, "in_channels": 1, "classes": 7})
    with torch.device("meta"):
        network = architecture.build().eval()
        side = SIDES.get(path.stem, 224)
        assert network(torch.zeros(2, 1, side, side)).shape == (2, 7)
