"""torchvision can be imported whatever build of it is installed."""

import sys

import pytest
import torch

from compressbench.vision import torchvision


def test_torchvision_imports_and_its_networks_and_transforms_work() -> None:
    models, transforms = torchvision("models"), torchvision("transforms.v2")
    assert sum(parameter.numel() for parameter in models.resnet18().parameters()) == 11_689_512
    assert transforms.functional.center_crop(torch.zeros(3, 8, 8), 4).shape == (3, 4, 4)


def test_a_missing_torchvision_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ValueError, match=r"torchvision cannot be imported .* belongs to torch .*pip install"):
        torchvision()
