"""Launchers: one override says how the runs of a sweep are started, and changes nothing else."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from compressbench.app.run import Ran
from compressbench.app.sweep import attempt
from compressbench.core.errors import PlanError, RunError
from compressbench.core.sweep import Place
from compressbench.planning import launchers
from compressbench.planning.complete import complete
from compressbench.planning.launch import launch, read_sweep, sweep_id
from compressbench.planning.launchers import Machine, is_requeued, take_gpu
from compressbench.planning.prepare import prepare
from tests.planning.test_launch import SEEN, job, seen


def refused(*words: str) -> str:
    with pytest.raises(PlanError) as caught:
        launch(read_sweep(["recipe=row", "seed=1,2", *words]), job)
    assert not SEEN.exists()
    return str(caught.value)


def test_local_runs_jobs_in_other_processes_and_says_how_many(row, monkeypatch):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    monkeypatch.setattr(launchers, "this_machine", lambda gpus: Machine(2, 8.0, {}))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    said: list[str] = []
    outcomes = launch(read_sweep(["recipe=row", "seed=1,2", "launcher=local"]), job, None, said.append)
    assert [(outcome.number, outcome.run) for outcome in outcomes] == [(1, "run of seed 1"), (2, "run of seed 2")]
    assert said == ["2 runs, launcher=local processes=2, threads=1 each (2 cores, 8 GB of memory free, no GPU)"]
    assert str(os.getpid()) not in {file.name.partition("_")[2] for file in SEEN.iterdir()}
    assert [found["overrides"] for found in seen()] == [["recipe=row", "seed=1"], ["recipe=row", "seed=2"]]


def killed(make, place):
    """A job whose process the system kills."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_sweep_with_one_sentence(row):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    with pytest.raises(RunError, match=r"a run was lost by its launcher: A worker process .* finishes what is missing"):
        launch(read_sweep(["recipe=row", "seed=1,2", "launcher=local", "launcher.processes=2"]), killed)


def test_one_after_the_other_is_the_default_and_needs_no_word(row):
    said: list[str] = []
    launch(read_sweep(["recipe=row", "seed=1,2"]), job, None, said.append)
    assert said == []
    assert {file.name.partition("_")[2] for file in SEEN.iterdir()} == {str(os.getpid())}


@pytest.mark.parametrize("extra", ["launcher=slurm", "launcher.partition=big", "hydra/launcher=joblib"])
def test_a_launcher_does_not_make_another_sweep(extra):
    assert sweep_id(["recipe=row", "seed=1,2", extra]) == sweep_id(["recipe=row", "seed=1,2"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["launcher=slrum"], "launcher: there is no 'slrum'; did you mean 'slurm'?"),
        (["launcher=local,ray"], "launcher=local,ray: has several values, but a sweep has one launcher"),
        (["launcher.processes=3"], "launcher.processes: is said of no launcher"),
        (["launcher=local", "launcher.procesess=3"], "there is no such key; did you mean 'processes'"),
        (["launcher=local", "launcher.processes=0"], "launcher.processes: is 0; allowed: a number, 1 or more"),
        (["launcher=local", "launcher.processes=all"], "launcher.processes: is 'all'; allowed: a number, 1 or more"),
    ],
)
def test_a_wrong_word_is_named_with_what_is_allowed(row, words, said):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    assert said in refused(*words)


def test_an_extra_that_is_not_installed_is_one_message(row):
    """In a Python that finds no plugins of Hydra's."""
    code = (
        "import sys; sys.modules['hydra_plugins'] = None\n"
        "from compressbench.cli.main import main\n"
        "sys.exit(main(['run', '-m', 'recipe=row', 'seed=1,2', 'launcher=' + sys.argv[1]]))"
    )
    for name, package in (("slurm", "hydra-submitit-launcher"), ("local", "hydra-joblib-launcher")):
        done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        [said] = done.stderr.splitlines()
        assert said.startswith(f"error: launcher: {name} ")
        assert f"{package} cannot be imported; install the extra `{name}`" in said


def test_a_single_run_is_told_to_be_a_sweep(row):
    with pytest.raises(PlanError, match="launcher=slurm: is about a sweep, which may be of one run; write -m"):
        prepare(["recipe=row", "launcher=slurm"])


@pytest.mark.parametrize(
    ("machine", "runs", "processes"),
    [
        (Machine(8, 64, {}), 20, 8),
        (Machine(8, 64, {}), 3, 3),
        (Machine(8, 5, {}), 20, 2),
        (Machine(8, 1, {}), 20, 1),
        (Machine(16, 64, {"0": 80.0}), 20, 16),
        (Machine(16, 64, {"0": 11.0, "1": 11.0}), 20, 4),
        (Machine(16, 64, {"0": 2.0, "1": 2.0}), 20, 2),
    ],
)
def test_as_many_processes_as_cores_memory_and_gpus_have_room_for(machine, runs, processes):
    assert machine.processes(runs) == processes


def test_this_machine_has_a_core_and_memory():
    here = launchers.this_machine(gpus=True)
    assert here.cores >= 1
    assert 0.1 < here.memory_gb < 1e5


@pytest.mark.parametrize(("visible", "found"), [(None, ["0", "1"]), ("1", ["1"]), ("GPU-b", ["GPU-b"]), ("", [])])
def test_gpus_are_those_that_may_be_seen(tmp_path, monkeypatch, visible, found):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '0, GPU-a, 40000'\necho '1, GPU-b, 80000'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert list(launchers.this_machine(gpus=True).gpus) == found


@pytest.mark.parametrize(("number", "seen_gpu"), [(1, "1"), (2, "0"), (3, "1")])
def test_workers_take_gpus_in_turn(monkeypatch, number, seen_gpu):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr("multiprocessing.process._current_process._name", f"LokyProcess-{number}")
    take_gpu(["0", "1"])
    assert os.environ["CUDA_VISIBLE_DEVICES"] == seen_gpu


def test_an_exit_of_ones_own_is_not_taken_for_a_requeue():
    with pytest.raises(SystemExit) as caught:
        sys.exit(-1)
    assert not is_requeued(caught.value)


def test_a_job_that_submitit_requeues_is_no_point_that_failed():
    pytest.importorskip("submitit")
    from submitit.core.job_environment import SignalHandler

    def time_is_up() -> Ran:
        handler = SignalHandler.__new__(SignalHandler)
        handler._logger = logging.getLogger()
        handler._exit()
        raise AssertionError

    with pytest.raises(SystemExit):
        attempt(Place("abc", 1, 1, {}), time_is_up, lambda error: None)


def test_the_words_of_slurm_are_those_of_sbatch(row):
    """What submitit writes for it."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    from hydra.types import RunMode
    from submitit.slurm.slurm import SlurmExecutor

    from compressbench.planning.compose import CONFIG, config_loader

    words = ["launcher.partition=gpu", "launcher.timeout_min=90", "launcher.jobs=4", "launcher.memory_gb=8"]
    words += ["launcher.cpus=3", "launcher.gpus=1", "launcher.account=lab"]
    master = config_loader().load_configuration(CONFIG, ["recipe=row", "launcher=slurm", *words], RunMode.RUN, False)
    node = OmegaConf.to_container(master.hydra.launcher, resolve=True)
    assert (node["max_num_timeout"], node["signal_delay_s"]) == (10, 120)
    away = {"_target_", "submitit_folder", "max_num_timeout", "tasks_per_node"}
    given = {key: value for key, value in node.items() if value not in (None, {}) and key not in away}
    executor = SlurmExecutor.__new__(SlurmExecutor)  # whose constructor asks for srun
    super(SlurmExecutor, executor).__init__(Path("there"), 10)
    executor.update_parameters(**executor._convert_parameters(given))
    executor.parameters["map_count"] = 20
    text = executor._make_submission_file_text("run it", "1").splitlines()
    for line in ("partition=gpu", "time=90", "array=0-19%4", "cpus-per-task=3", "gpus-per-node=1", "mem=8GB"):
        assert f"#SBATCH --{line}" in text
    assert "#SBATCH --account=lab" in text
    assert "#SBATCH --signal=USR2@120" in text
    assert "export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK" in text


def test_completion_knows_the_launchers_and_their_words(row):
    assert complete(["run", "-m", "launcher=lo"]) == ["launcher=local "]
    assert complete(["run", "-m", "launcher=slurm", "launcher.part"]) == ["launcher.partition="]
