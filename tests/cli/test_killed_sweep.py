"""Whoever works for a sweep ends with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.running.damages import write_recipe

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to find the processes")


def workers(outputs: Path) -> set[int]:
    """Return the processes that were started with these outputs in their environment."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"COMPRESSBENCH_OUTPUTS={outputs}".encode() in (process / "environ").read_bytes():
                found.add(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_workers_and_trackers_of_a_killed_sweep_end_within_seconds(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    outputs = tmp_path / "outputs"
    sweep = ["run", "-m", "recipe=tiny", "tracking=mlflow", "stages.train.training.epochs=100000", "seed=0,1"]
    launcher = ["launcher=local", "launcher.processes=2"]
    environment = {**os.environ, "COMPRESSBENCH_OUTPUTS": str(outputs), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "compressbench", *sweep, *launcher]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        end = time.monotonic() + 200
        while not list(outputs.glob("cache/running/*")) and time.monotonic() < end:
            time.sleep(0.2)
        assert len(workers(outputs)) >= 3, (tmp_path / "said").read_text()
        process.kill()
        process.wait()
    end = time.monotonic() + 20
    while workers(outputs) and time.monotonic() < end:
        time.sleep(0.2)
    assert workers(outputs) == set()
