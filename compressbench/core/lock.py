"""One process at a time, by a lock on a file, so that parallel jobs do not step on each other."""

from __future__ import annotations

import fcntl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def alone(path: Path, waiting: str = "") -> Iterator[None]:
    """Wait until no other process or thread holds `path`, then hold it. The kernel lets go of a killed one's.

    waiting: said as a warning, once, if somebody holds it. A file system without locks (some network ones) is no
    reason to stop: there we go on without.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        with suppress(OSError):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting:
                    warnings.warn(waiting, stacklevel=3)
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
