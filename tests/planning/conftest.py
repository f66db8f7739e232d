"""A user's folder: the tests of planning run in an empty one, with recipes of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[[str, str], Path]

ROW = """\
# A row for tests.
model: lenet5
dataset: digits
stages:
  train: {technique: training/from_scratch, training: {epochs: 2}}
  prune: {technique: pruning/l1_norm, ratio: 0.5}
  finetune: {technique: training/finetune}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    for variable in ("COMPRESSBENCH_RECIPES", "COMPRESSBENCH_OUTPUTS"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Write:
    """Write a recipe into the user's own folder."""

    def write_recipe(name: str, text: str) -> Path:
        file = folder / "recipes" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write_recipe


@pytest.fixture
def row(write: Write) -> Path:
    """A complete recipe called `row`."""
    return write("row", ROW)
