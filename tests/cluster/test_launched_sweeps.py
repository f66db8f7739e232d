"""A sweep finds the same whoever starts its runs, bit for bit. Every launcher is the real one."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compressbench.running.folders import CHECKPOINTS
from tests.cluster.slurm import a_slurm, why_not
from tests.cluster.sweeps import begin, found, said, swept

on_slurm = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What the runs find one after the other."""
    records = swept(tmp_path_factory.mktemp("alone"))
    assert len(records) == 4
    return records


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a Slurm."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    with a_slurm(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


@pytest.mark.slow
def test_several_at_a_time_on_this_machine(alone: dict[str, list[Any]], tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    assert swept(tmp_path, "launcher=local", "launcher.processes=2") == alone
    assert "4 runs, launcher=local processes=2, threads=1 each" in said(tmp_path)


@pytest.mark.long
def test_jobs_of_submitit_on_this_machine(alone: dict[str, list[Any]], tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    assert swept(tmp_path, "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=4") == alone


@pytest.mark.cluster
@on_slurm
def test_jobs_of_slurm(alone: dict[str, list[Any]], slurm: dict[str, str], tmp_path: Path) -> None:
    assert swept(tmp_path, "launcher=slurm", "launcher.timeout_min=5", environment=slurm) == alone
    assert len(list(tmp_path.glob("outputs/hydra/*/.submitit/*_[0-3]/*_log.out"))) == 4


@pytest.mark.cluster
@on_slurm
@pytest.mark.timeout(600)
def test_a_job_of_slurm_whose_time_is_up_is_requeued_and_goes_on(slurm: dict[str, str], tmp_path: Path) -> None:
    """The signal is the one that Slurm sends before a time-out."""
    longer = ("stages.train.training.epochs=80",)
    undisturbed = swept(tmp_path / "undisturbed", points=longer)
    process = begin(tmp_path / "there", "launcher=slurm", points=longer, environment=slurm)
    try:
        _wait(lambda: list((tmp_path / "there").glob(f"outputs/cache/stages/*/{CHECKPOINTS}/*")))
        jobs = subprocess.run(["squeue", "-ho", "%A", "-t", "R"], env=slurm, capture_output=True, text=True, check=True)
        subprocess.run(["scancel", "--signal=USR2", jobs.stdout.strip()], env=slurm, check=True)
        assert process.wait(timeout=400) == 0, said(tmp_path / "there")
    finally:
        process.kill()
    logs = "".join(log.read_text() for log in (tmp_path / "there").glob("outputs/hydra/*/.submitit/*/*_log.out"))
    assert logs.count("1 of 1: started") == 2, logs
    assert logs.count("1 of 1: done in ") == 1, logs
    assert found(tmp_path / "there") == undisturbed


@pytest.mark.cluster
def test_tasks_of_a_ray_on_this_machine(alone: dict[str, list[Any]], tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_ray_launcher.ray_launcher")
    pytest.importorskip("ray")
    assert swept(tmp_path, "launcher=ray") == alone


def _wait(come: Any, limit_s: float = 120) -> None:
    end = time.monotonic() + limit_s
    while not come():
        assert time.monotonic() < end
        time.sleep(0.1)
