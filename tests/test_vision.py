"""torchvision can be imported whatever build of it is installed."""

import subprocess
import sys

import pytest

from compressbench.vision import torchvision


def test_torchvision_imports_and_its_networks_and_transforms_work() -> None:
    code = (
        "import torch\n"
        "from compressbench.vision import torchvision\n"
        "models, transforms = torchvision('models'), torchvision('transforms.v2')\n"
        "print(sum(p.numel() for p in models.resnet18().parameters()))\n"
        "print(tuple(transforms.functional.center_crop(torch.zeros(3, 8, 8), 4).shape))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["11689512", "(3, 4, 4)"]


def test_a_missing_torchvision_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ValueError, match=r"torchvision cannot be imported .* belongs to torch .*pip install"):
        torchvision()
