"""One process at a time, by a lock on a file, so that parallel jobs do not step on each other."""

from __future__ import annotations

import fcntl
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from compressbench.core.errors import PlanError, RunError
from compressbench.core.temporary import alive, machine

LIMIT = "COMPRESSBENCH_WAIT_S"
"""Environment variable: after so many seconds of waiting for another process a run gives up."""
LONGEST_S = 86_400.0
"""How long one waits where it is not set: another process may train one stage for many hours."""
SAY_EVERY_S = 60.0
LOOK_EVERY_S = 0.2
ORPHANED_S = 10.0
"""How long a lock may stay with children of a holder that has ended, before one goes on without it."""


@contextmanager
def alone(path: Path, waiting: str = "", limit_s: float | None = None) -> Iterator[None]:
    """Wait until no other process or thread holds `path`, then hold it. The kernel lets go of a killed one's.

    waiting: what is waited for; said as a warning, with who holds it, at once and every minute. RunError after
    `limit_s` seconds; None: as many as COMPRESSBENCH_WAIT_S says, else a day. A file system without locks (some
    network ones) is no reason to stop: there we go on without.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting, limit_s = waiting or f"waiting for the lock {path}", _limit_s() if limit_s is None else limit_s
    while True:
        with path.open("a+") as file:
            if not _acquire(file, waiting, limit_s) or _lies_at(path, file):
                with suppress(OSError):
                    file.truncate(0)
                    print(machine(), os.getpid(), file=file, flush=True)
                yield
                return


def _acquire(file: TextIO, waiting: str, limit_s: float) -> bool:
    """Return whether the lock is ours now; False where there are no locks, or its holder ended and left it behind."""
    started, said = time.monotonic(), -SAY_EVERY_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            waited = time.monotonic() - started
        except OSError:
            return False
        holder, has_ended = _holder(file)
        if has_ended and waited >= ORPHANED_S:
            warnings.warn(f"{waiting}, held by {holder}, which has ended: going on without", stacklevel=4)
            return False
        if waited >= limit_s:
            raise RunError(f"{waiting}, held by {holder}: given up after {waited:.0f} seconds ({LIMIT} says how long)")
        if waited - said >= SAY_EVERY_S:
            so_far = f", {waited / 60:.0f} minutes so far" if said >= 0 else ""
            warnings.warn(f"{waiting} (held by {holder}{so_far})", stacklevel=4)
            said = waited
        time.sleep(LOOK_EVERY_S)


def _holder(file: TextIO) -> tuple[str, bool]:
    """Return who noted in the file that it holds it, in words, and whether that process has ended."""
    file.seek(0)
    words = file.read(100).split()
    if len(words) != 2 or not words[1].isdecimal():
        return "another process", False
    if words[0] != machine():
        return f"process {words[1]} of another machine", False
    return f"process {words[1]}", not alive(int(words[1]))


def _lies_at(path: Path, file: TextIO) -> bool:
    """Return whether the file is still the one at `path`: somebody may have removed it while we waited."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _limit_s() -> float:
    given = os.environ.get(LIMIT) or LONGEST_S
    try:
        return float(given)
    except ValueError as error:
        raise PlanError.of(LIMIT, f"is {given!r}; allowed: seconds") from error
