"""Runs as somebody with MLflow's pages open sees them: `compressbench run` and what is in the store meanwhile."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compressbench.cli.main import main
from compressbench.tracking import journal
from compressbench.tracking.store import Store, at, client
from compressbench.tracking.ui import stop as stop_group
from tests.cli.commands import Captured, recipe, refused
from tests.tracking.records import runs_of
from tests.tracking.test_ui import heed_ctrl_c

STACK = """\
model: {name: lenet_300_100, image_size: 32}
dataset: digits
training: reduced
stages:
  train: {technique: training/from_scratch, training: {epochs: 2, batch_size: 32, precision: fp32}}
"""
LONG = ["stages.train.training.epochs=3000"]


@pytest.fixture
def words(outputs: Path) -> list[str]:
    return ["run", recipe(STACK), f"outputs={outputs}"]


def waited_for(seen: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.parametrize(
    "sign",
    [pytest.param(signal.SIGKILL, marks=pytest.mark.slow), pytest.param(signal.SIGINT, marks=pytest.mark.long)],
)
def test_a_run_is_seen_while_it_trains_marked_when_it_is_killed_and_taken_over(
    sign: signal.Signals, words: list[str], store: Store
) -> None:
    command = [sys.executable, "-m", "compressbench", *words, *LONG]
    process = subprocess.Popen(command, preexec_fn=heed_ctrl_c, start_new_session=True)
    try:
        waited_for(
            lambda: bool(runs_of(store, "mine") and "train/train_loss" in runs_of(store, "mine")[0].data.metrics)
        )
        assert process.poll() is None
        (seen,) = runs_of(store, "mine")
        assert (seen.info.status, seen.info.run_name) == ("RUNNING", "epochs=3000 seed 0 of mine")
        process.send_signal(sign)
        assert process.wait(30) == (130 if sign is signal.SIGINT else -sign)
    finally:
        stop_group(process)
    waited_for(lambda: runs_of(store, "mine")[0].info.status == "KILLED", 30)
    again = subprocess.Popen(command, start_new_session=True)
    try:
        waited_for(lambda: runs_of(store, "mine")[0].info.status == "RUNNING")
        assert runs_of(store, "mine")[0].info.run_id == seen.info.run_id
    finally:
        stop_group(again)


@pytest.mark.slow
def test_a_run_that_fails_is_in_mlflow_at_once_with_its_error(words: list[str], store: Store, capsys: Captured) -> None:
    assert main([*words, "stages.train.training.lr=1e20", "stages.train.training.schedule=constant"]) == 1
    error = capsys.readouterr().err
    (found,) = runs_of(store, "mine")
    assert found.info.status == "FAILED"
    assert found.data.tags["error"] in error
    assert "loss" in found.data.tags["error"]


@pytest.mark.slow
def test_a_run_over_its_budget_is_in_mlflow_at_once_and_says_so(words: list[str], store: Store) -> None:
    main([*words, "budget.size_bytes=1000"])
    (found,) = runs_of(store, "mine")
    assert (found.info.status, found.data.tags["budget"]) == ("FINISHED", "missed")
    assert "size_bytes" in found.data.tags["mlflow.note.content"]
    assert found.data.metrics["size_bytes"] > 1000


@pytest.mark.slow
def test_runs_go_where_the_environment_says_and_it_is_said(
    words: list[str], outputs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (outputs / "mlflow.db").rename(outputs / "team.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{outputs}/team.db")
    assert main(words) == 0
    shown = capfd.readouterr().err
    assert shown.count(f"tracking: runs go to sqlite:///{outputs}/team.db (MLFLOW_TRACKING_URI)") == 1
    assert len(runs_of(at(outputs, f"sqlite:///{outputs}/team.db"), "mine")) == 1
    assert not (outputs / "mlflow.db").exists()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert main(["sync", f"outputs={outputs}"]) == 0
    assert capfd.readouterr().out == "nothing is missing\n"


@pytest.mark.slow
def test_a_server_of_the_environment_that_is_down_costs_no_result_and_is_where_sync_sends_to(
    words: list[str], outputs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert main(words) == 0
    assert f"not in MLflow at {uri}" in capfd.readouterr().err
    (record,) = outputs.rglob("record.json")
    assert journal.read(record.parent).uri == uri
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert main(["sync", f"outputs={outputs}"]) == 1
    assert capfd.readouterr().out == f"0 runs sent to {uri}, 1 still missing\n"
    assert main(["sync", f"outputs={outputs}", f"tracking.uri=sqlite:///{outputs}/mlflow.db"]) == 0
    assert capfd.readouterr().out == f"1 run sent to sqlite:///{outputs}/mlflow.db, 0 still missing\n"


def test_a_store_of_the_environment_that_cannot_be_used_is_refused_before_anything_is_computed(
    words: list[str], outputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "databricks")
    assert "MLFLOW_TRACKING_URI: is 'databricks'; allowed: http" in refused(capsys, *words)
    assert not (outputs / "runs").exists()
    assert main([*words, "tracking=off"]) == 0


@pytest.mark.slow
def test_a_run_that_is_tracked_leaves_nothing_of_mlflow_in_the_working_folder(
    words: list[str], outputs: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database without a server makes MLflow put files into the folder one works in."""
    here = tmp_path_factory.mktemp("here")
    recipes = here / "recipes"
    (outputs / "recipes").rename(recipes)
    monkeypatch.chdir(here)
    assert main([*words, f"tracking.uri=sqlite:///{outputs}/mlflow.db"]) == 0
    assert list(here.iterdir()) == [recipes]
    (run,) = runs_of(at(outputs, f"sqlite:///{outputs}/mlflow.db"), "mine")
    assert {file.path for file in client(at(outputs, f"sqlite:///{outputs}/mlflow.db")).list_artifacts(run.info.run_id)}
