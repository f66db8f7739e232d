"""Whoever works for a sweep ends with it, and a sweep survives the death of its workers."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from compressbench.core.record import RunRecord
from compressbench.core.temporary import NAMED
from compressbench.tracking.store import embedded
from tests.running.damages import figures_of, write_recipe
from tests.running.killing import computed
from tests.tracking.conftest import template as template
from tests.tracking.records import runs_of

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


def all_figures(outputs: Path) -> dict[str, list[Any]]:
    """Return what every run found, by the identity of its plan."""
    return {RunRecord.read(path).plan_id: figures_of(path) for path in (outputs / "runs").rglob("record.json")}


def killed_in_the_middle(command: list[str], environment: dict[str, str], outputs: Path, chance: random.Random) -> int:
    """Start a sweep, kill one of its workers at a random moment, and return how the sweep ended."""
    with outputs.with_suffix(".said").open("w") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        end = time.monotonic() + 200
        while not list(outputs.glob("cache/running/*")) and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 1))
        # Whoever holds a note of a run is a worker; its name says which process that is.
        notes = [NAMED.fullmatch(path.name) for path in outputs.glob("cache/running/*")]
        if held := [int(note[2]) for note in notes if note]:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(chance.choice(held), signal.SIGKILL)
        return process.wait(200)


@pytest.mark.timeout(5400)
@pytest.mark.long
def test_a_sweep_whose_workers_are_killed_ends_started_again_as_if_nothing_had_been(
    tmp_path: Path, template: Path
) -> None:
    """At random moments. Nothing that was stored is computed again, no run is in MLflow twice."""
    write_recipe(tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    points = ["recipe=tiny", "seed=0,1", "stages.prune.ratio=0.3,0.5", "tracking=mlflow", "launcher=local"]
    words = ["run", "-m", *points, "launcher.processes=2"]

    def started(outputs: Path) -> tuple[list[str], dict[str, str]]:
        outputs.mkdir()
        shutil.copy(template, outputs / "mlflow.db")
        return [sys.executable, "-m", "compressbench", *words], {**environment, "COMPRESSBENCH_OUTPUTS": str(outputs)}

    def carried_out(command: list[str], surroundings: dict[str, str]) -> None:
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr

    carried_out(*started(tmp_path / "undisturbed"))
    wanted = all_figures(tmp_path / "undisturbed")
    assert len(wanted) == 4
    interrupted = 0
    for seed in range(20):
        outputs, chance = tmp_path / f"killed{seed}", random.Random(seed)
        command, surroundings = started(outputs)
        interrupted += killed_in_the_middle(command, surroundings, outputs, chance) != 0
        done = computed(outputs)
        carried_out(command, surroundings)
        assert all_figures(outputs) == wanted
        assert {stage: computed(outputs)[stage] for stage in done} == done
        assert [path for path in outputs.rglob("*") if NAMED.fullmatch(path.name)] == []
        runs = [run for run in runs_of(embedded(outputs), "tiny") if "plan_id" in run.data.tags]
        assert sorted(run.data.tags["plan_id"] for run in runs) == sorted(wanted)
        assert {run.info.status for run in runs} == {"FINISHED"}
    assert interrupted > 0
