"""A worker sends from a process of its own, and whatever happens to it costs no result."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.tracking import journal
from compressbench.tracking.store import Store, client
from compressbench.tracking.worker import Worker, worker
from tests.tracking.records import record, written


@pytest.fixture
def messenger(store: Store) -> Iterator[Worker]:
    found = Worker(store, "table5")
    yield found
    found.stop()


@pytest.mark.slow
def test_records_are_sent_one_after_the_other(messenger: Worker, store: Store, outputs: Path) -> None:
    runs = [record(0.5, seed=seed) for seed in (1, 2)]
    folders = [written(run, outputs) for run in runs]
    sent = [messenger.send(run, folder) for run, folder in zip(runs, folders, strict=True)]
    assert [client(store).get_run(identity).data.params["seed"] for identity in sent] == ["1", "2"]
    assert journal.read(folders[0]).run_id == sent[0]


def test_a_courier_that_died_costs_one_line(
    messenger: Worker, outputs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    messenger.stop()
    run = record(0.5)
    assert messenger.send(run, written(run, outputs)) is None
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "compressbench sync" in said


def test_a_courier_that_hangs_is_waited_for_within_limits_and_says_what_for(
    outputs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    messenger, run = Worker(Store("http://127.0.0.1:9", deadline_s=2), "table5"), record(0.5)
    messenger.ready_by = 0.0
    os.kill(messenger.process.pid, signal.SIGSTOP)
    started = time.monotonic()
    folder = written(run, outputs)
    assert messenger.send(run, folder) is None
    assert time.monotonic() - started < 10
    assert messenger.process.poll() is not None
    waited, left = capfd.readouterr().err.splitlines()
    assert waited == "tracking: waiting for MLflow at http://127.0.0.1:9, 2 s at most"
    assert "no answer within 2 s" in left
    assert journal.read(folder).uri == "http://127.0.0.1:9"


def test_a_courier_that_hangs_does_not_hold_up_a_training(outputs: Path) -> None:
    """Once the pipe is full it is given up."""
    messenger, run = Worker(Store("http://127.0.0.1:9"), "table5"), record(0.5)
    os.kill(messenger.process.pid, signal.SIGSTOP)
    started = time.monotonic()
    messenger.started(run, outputs)
    for epoch in range(20_000):
        messenger.reached("train", {"epoch": epoch, "train_loss": 0.1, "validation_top1": 0.9, "lr": 0.1})
    assert time.monotonic() - started < 10
    assert messenger.process.poll() is not None


def test_a_store_that_is_down_costs_one_line(outputs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    messenger, run = Worker(Store(f"http://127.0.0.1:{port}", timeout_s=1, retries=0), "table5"), record(0.5)
    assert messenger.send(run, written(run, outputs)) is None
    messenger.stop()
    assert "compressbench sync" in capfd.readouterr().err


def test_the_environment_is_not_followed_in_silence(
    store: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "theirs")
    first = worker(replace(store, origin="MLFLOW_TRACKING_URI"), "table5")
    assert worker(replace(store, origin="MLFLOW_TRACKING_URI"), "table5") is first
    first.stop()
    assert capfd.readouterr().err.splitlines() == [
        f"tracking: runs go to {store.name} (MLFLOW_TRACKING_URI)",
        "tracking: MLFLOW_EXPERIMENT_NAME is not used; this experiment is called table5",
    ]


def test_the_runs_of_a_sweep_share_a_courier_and_another_store_gets_another(store: Store, tmp_path: Path) -> None:
    first = worker(store, "table5")
    assert worker(store, "table6") is first
    other = worker(Store("http://127.0.0.1:1"), "table5")
    assert other is not first
    assert first.process.poll() is not None
    other.stop()
    assert worker(Store("http://127.0.0.1:1"), "table5") is not other
