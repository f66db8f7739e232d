"""A tracking server that is down or slow costs no result and little time; a password in its address stays secret."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compressbench.core.record import RunRecord
from compressbench.tracking import send as sending
from compressbench.tracking.send import send
from compressbench.tracking.store import Store, client
from compressbench.tracking.sync import sync
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
