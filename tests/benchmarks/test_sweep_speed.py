"""What a sweep costs beside its trainings, and what a second process gains. Alone on the machine, two cores or more."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.sweeps import ROOT, begin, said

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3000)]

RATIOS, SEEDS = ("0.2", "0.4", "0.6", "0.8"), ("0", "1", "2", "3", "4")
POINTS = (f"stages.prune.ratio={','.join(RATIOS)}", f"seed={','.join(SEEDS)}")
CHEAP, LONGER = ("limits.steps=4",), ("+stages.tune={technique: training/finetune, training: {epochs: 8}}",)
DIRECTLY = """
import sys, compressbench
for ratio in sys.argv[1].split(","):
    for seed in sys.argv[2].split(","):
        words = ["threads=1", f"stages.prune.ratio={ratio}", f"seed={seed}", *sys.argv[3:]]
        compressbench.run("tiny", words, progress=False)
"""


def swept_s(folder: Path, *words: str) -> float:
    """Return the wall time of a sweep of 20 points from an empty folder."""
    started = time.perf_counter()
    process = begin(folder, *words, points=POINTS)
    assert process.wait() == 0, said(folder)
    assert len(list((folder / "outputs" / "runs").rglob("record.json"))) == 20
    return time.perf_counter() - started


def called_s(folder: Path, *words: str) -> float:
    """Return the wall time of the same 20 runs, called one after the other from Python."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COMPRESSBENCH_OUTPUTS": str(folder / "outputs")}
    command = [sys.executable, "-c", DIRECTLY, ",".join(RATIOS), ",".join(SEEDS), *words]
    started = time.perf_counter()
    subprocess.run(command, check=True, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


@pytest.mark.parametrize("launcher", [["launcher=sequential"], ["launcher=local", "launcher.processes=1"]])
def test_a_job_costs_less_than_two_seconds_beside_its_run(launcher: list[str], tmp_path: Path) -> None:
    found = []
    for turn in range(3):
        one, other = tmp_path / f"swept{turn}", tmp_path / f"called{turn}"
        taken = swept_s(one, *CHEAP, *launcher)
        (other / "recipes").mkdir(parents=True)
        (other / "recipes" / "tiny.yaml").write_text((one / "recipes" / "tiny.yaml").read_text())
        found.append((taken - called_s(other, *CHEAP)) / 20)
    print(f"{' '.join(launcher)}: {statistics.median(found):.2f} s a job ({min(found):.2f} to {max(found):.2f})")
    assert statistics.median(found) < 2


def test_two_processes_are_nearly_twice_as_fast_as_one(tmp_path: Path) -> None:
    found = []
    for turn in range(3):
        one = swept_s(tmp_path / f"one{turn}", *LONGER, "launcher=sequential")
        two = swept_s(tmp_path / f"two{turn}", *LONGER, "launcher=local", "launcher.processes=2")
        found.append(one / two)
        print(f"one process {one:.0f} s, two {two:.0f} s: {found[-1]:.2f} times as fast")
    assert statistics.median(found) >= 1.6
