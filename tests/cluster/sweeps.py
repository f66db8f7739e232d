"""The sweep that is started by every launcher, and its records, to be compared."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.running.damages import figures_of

ROOT = Path(__file__).parents[2]
POINTS = ("stages.prune.ratio=0.3,0.5", "seed=0,1")
RECIPE = """\
# LeNet-5, trained long enough to be disturbed, pruned.
model: lenet5
dataset: {name: synthetic, shape: [1, 28, 28], classes: 4, train_images: 256, test_images: 32}
tracking: "off"
stages:
  train: {technique: training/from_scratch, training: {epochs: 4, batch_size: 16, precision: fp32}}
  prune: {technique: pruning/magnitude, ratio: 0.5}
"""


def begin(
    folder: Path, *words: str, points: Sequence[str] = POINTS, environment: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start the sweep in a process, in a folder of its own, whose file `said` has what it prints."""
    (folder / "recipes").mkdir(parents=True)
    (folder / "recipes" / "tiny.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "compressbench", "run", "-m", "recipe=tiny", "threads=1", *points, *words]
    there = {**(environment or os.environ), "PYTHONPATH": str(ROOT), "COMPRESSBENCH_OUTPUTS": str(folder / "outputs")}
    with (folder / "said").open("w") as said:
        return subprocess.Popen(command, env=there, cwd=folder, stdout=said, stderr=said, text=True)


def swept(
    folder: Path, *words: str, points: Sequence[str] = POINTS, environment: dict[str, str] | None = None
) -> dict[str, list[Any]]:
    """Carry out the sweep, and return what every run found, by its folder."""
    process = begin(folder, *words, points=points, environment=environment)
    try:
        assert process.wait(timeout=280) == 0, said(folder)
    finally:
        process.kill()
    return found(folder)


def found(folder: Path) -> dict[str, list[Any]]:
    """Return what every run found, by its folder."""
    runs = folder / "outputs" / "runs"
    return {str(path.parent.relative_to(runs)): figures_of(path) for path in sorted(runs.rglob("record.json"))}


def said(folder: Path) -> str:
    return (folder / "said").read_text()
