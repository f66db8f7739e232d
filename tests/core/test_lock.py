"""Who waits says what for and on whom, does not wait for ever, and not for the dead."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from compressbench.core import lock
from compressbench.core.errors import PlanError, RunError
from compressbench.core.lock import alone


def _hold(path: Path, holding: multiprocessing.synchronize.Event) -> None:
    with alone(path):
        holding.set()
        time.sleep(60)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[int]:
    """A process that holds the lock `lock`."""
    context = multiprocessing.get_context("fork")
    holding = context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "lock", holding))
    process.start()
    assert holding.wait(20)
    yield process.pid or 0
    process.kill()
    process.join()


def test_a_wait_names_the_holder_again_and_again_and_has_a_limit(
    tmp_path: Path, holder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "SAY_EVERY_S", 0.3)
    given_up = rf"waiting for the moon, held by process {holder}: given up after 1 seconds"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(RunError, match=given_up), alone(tmp_path / "lock", "waiting for the moon", limit_s=1):
            pass
    assert len(said) >= 3
    assert str(said[0].message) == f"waiting for the moon (held by process {holder})"
    assert "minutes so far" in str(said[1].message)


def test_the_limit_comes_from_the_environment(tmp_path: Path, holder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSBENCH_WAIT_S", "0")
    with pytest.raises(RunError, match="COMPRESSBENCH_WAIT_S says how long"), alone(tmp_path / "lock"):
        pass
    monkeypatch.setenv("COMPRESSBENCH_WAIT_S", "long")
    with pytest.raises(PlanError, match="allowed: seconds"), alone(tmp_path / "lock"):
        pass


def test_a_lock_left_with_the_children_of_a_dead_holder_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork inherits the lock: here a child that sleeps, of a holder that has ended."""
    code = (
        "import os, sys, time; from pathlib import Path; from compressbench.core.lock import alone\n"
        "with alone(Path(sys.argv[1])):\n"
        "    child = os.fork()\n"
        "    time.sleep(20) if not child else (print(child, flush=True), os._exit(0))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    child = int(process.stdout.readline())
    process.wait()
    monkeypatch.setattr(lock, "ORPHANED_S", 0.3)
    with pytest.warns(UserWarning, match="which has ended: going on without"), alone(tmp_path / "lock", "w", limit_s=9):
        pass
    os.kill(child, 9)


def test_a_lock_that_was_removed_while_one_waited_is_taken_anew(tmp_path: Path, holder: int) -> None:
    (tmp_path / "lock").unlink()
    with alone(tmp_path / "lock", limit_s=0):
        assert str(os.getpid()) in (tmp_path / "lock").read_text()
