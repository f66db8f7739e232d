"""A user's own file with networks, as `import nets` finds it beside a notebook."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

NETS = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width: int = 8, num_classes: int = 10, slope: float = 0.0):
        super().__init__()
        self.slope = slope
        self.conv = nn.Conv2d(1, width, 3, stride=4, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.fc = nn.Linear(64 * width, num_classes)

    def forward(self, images):
        shown = nn.functional.leaky_relu(self.norm(self.conv(images)), self.slope)
        return self.fc(shown.flatten(1))

    class Inner(nn.Linear):
        pass


def small(classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(1024, classes))
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module `nets`, imported."""
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    found = importlib.import_module("nets")
    monkeypatch.setitem(sys.modules, "nets", found)
    return found
