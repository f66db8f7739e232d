"""A tracking server that is down or slow costs no result and little time; a password in its address stays secret."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.record import RunRecord
from compressbench.tracking import send as sending
from compressbench.tracking.send import send
from compressbench.tracking.store import Store, client
from compressbench.tracking.sync import sync
from compressbench.tracking.worker import Worker
from tests.tracking.records import record, runs_of, written


@pytest.fixture
def silent_server() -> Iterator[int]:
    """A port that takes every connection and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield server.getsockname()[1]


@pytest.fixture
def dead_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers everything with an error of its own."""

    def do_GET(self) -> None:
        self.send_error(500)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def failing_server() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(autouse=True)
def nothing_failed_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_failed", {})


def test_a_server_that_answers_with_errors_costs_no_result_and_little_time(
    failing_server: int, outputs: Path, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    run = record()
    folder = written(run, outputs)
    client(store)
    started = time.monotonic()
    assert send(run, folder, Store(f"http://127.0.0.1:{failing_server}")) is None
    assert time.monotonic() - started < 3
    assert "500" in capfd.readouterr().err
    assert sync(outputs, store, everything=True) == [(store.name, 1, 0)]


def test_a_server_that_failed_is_not_waited_for_again_by_the_next_runs(
    silent_server: int, outputs: Path, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = [record(seed=seed) for seed in range(4)]
    folders = [written(run, outputs) for run in runs]
    client(store)
    slow = Store(f"http://127.0.0.1:{silent_server}", timeout_s=1, retries=0, deadline_s=2)
    send(runs[0], folders[0], slow)
    started = time.monotonic()
    assert [send(run, folder, slow) for run, folder in zip(runs[1:], folders[1:], strict=True)] == [None] * 3
    assert time.monotonic() - started < 0.5
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all("it failed" in line for line in lines[1:])
    assert sync(outputs, store, everything=True) == [(store.name, 4, 0)]
    assert sync(outputs, store, everything=True) == []
    assert len(runs_of(store)) == 4


@pytest.mark.slow
@pytest.mark.parametrize("what", ["dead_port", "silent_server", "failing_server"])
def test_no_bad_server_holds_up_the_epochs_of_a_run_or_the_runs_of_a_sweep(
    what: str, request: pytest.FixtureRequest, outputs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Only the end of the first run waits, within the limits of the store."""
    bad = Store(f"http://127.0.0.1:{request.getfixturevalue(what)}", timeout_s=1, retries=0, deadline_s=2)
    courier, epochs_s, ends_s = Worker(bad, "table5"), [], []
    for seed in range(4):
        run = record(seed=seed)
        folder = written(run, outputs)
        started = time.monotonic()
        courier.started(replace(run, status="running", stages=[]), folder)
        for epoch in range(200):
            courier.reached("train", {"epoch": epoch, "train_loss": 0.1})
        epochs_s.append(time.monotonic() - started)
        assert courier.send(run, folder) is None
        ends_s.append(time.monotonic() - started)
    courier.stop()
    assert max(epochs_s) < 0.5
    assert ends_s[0] < 60  # it imports MLflow first
    assert max(ends_s[1:]) < 1
    assert capfd.readouterr().err.count("compressbench sync") == 4


def test_a_server_that_is_down_costs_no_result_and_little_time(
    dead_port: int, outputs: Path, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    run = record()
    folder = written(run, outputs)
    client(store)  # MLflow imported
    started = time.monotonic()
    assert send(run, folder, Store(f"http://127.0.0.1:{dead_port}")) is None
    assert time.monotonic() - started < 3
    shown = capfd.readouterr().err
    assert shown.count("\n") == 1
    assert "compressbench sync" in shown
    assert RunRecord.read(folder / "record.json") == run
    assert sync(outputs, store, everything=True) == [(store.name, 1, 0)]
    assert len(runs_of(store)) == 1


def test_a_server_that_never_answers_costs_no_result_and_little_time(
    silent_server: int, outputs: Path, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    run = record()
    folder = written(run, outputs)
    client(store)
    started = time.monotonic()
    slow = Store(f"http://127.0.0.1:{silent_server}", timeout_s=1, retries=1, deadline_s=4)
    assert send(run, folder, slow) is None
    assert time.monotonic() - started < 5
    assert capfd.readouterr().err.count("\n") == 1
    assert sync(outputs, store, everything=True) == [(store.name, 1, 0)]


def test_work_that_takes_too_long_is_left_to_itself() -> None:
    go_on = threading.Event()
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"0\.2 s"):
        sending.within(0.2, lambda: str(go_on.wait(20)))
    assert time.monotonic() - started < 2
    go_on.set()


def test_a_password_in_the_uri_is_neither_shown_nor_written_down(
    dead_port: int, outputs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = record()
    send(run, written(run, outputs), Store(f"http://user:secret@127.0.0.1:{dead_port}"))
    assert "secret" not in capfd.readouterr().err
    assert Store("postgresql://me:secret@host/db").name == "postgresql://me@host/db"
