"""Plugins as users write them, for tests: files in folders of their own."""

from __future__ import annotations

from pathlib import Path

NET = """\
import subprocess
from pathlib import Path

from torch import nn
from torch.nn import Linear

Path("ran").touch()  # whoever imports this leaves a trace


class Net(nn.Module):
    def __init__(self, in_channels: int, classes: int, width: int = 4):
        super().__init__()
        self.fc = nn.Linear(64 * in_channels, width)
        self.out = nn.Linear(width, classes)

    def forward(self, images):
        return self.out(self.fc(images.flatten(1)[:, :64]).relu())


def made(in_channels: int, classes: int) -> nn.Module:
    return Net(in_channels, classes)


def wipe(path: str) -> None:
    Path(path).unlink()


def unsaid(path: str):
    Path(path).unlink()


class Table:
    pass


network = Net
"""


def write_plugins(text: str = NET, folder: Path = Path()) -> Path:
    """Write a `plugins.py` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "plugins.py"
    file.write_text(text)
    return file.resolve()
