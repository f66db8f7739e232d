"""Which stages the runs that are going on rely on: nobody else may remove those. Needs no torch."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compressbench.core.errors import RunError
from compressbench.core.temporary import prefix, remove

FOLDER = "running"
"""Below the cache: a file for each run that is going on, locked by it, with the identities of its stages."""


@contextmanager
def relying_on(stage_ids: Iterable[str], cache: Path) -> Iterator[None]:
    """Keep stages from being removed by others until the run ends, however it ends. RunError if that fails."""
    folder = cache / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=prefix("run"), dir=folder)
        os.write(descriptor, " ".join(stage_ids).encode())
    except OSError as error:
        raise RunError(f"cannot write into {folder}: {error.strerror}") from error
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
        remove(Path(name))


def relied_on(cache: Path) -> set[str]:
    """Return the identities of the stages that living runs rely on, on any machine. What dead ones left is removed."""
    found: set[str] = set()
    for path in (cache / FOLDER).glob("*"):
        with suppress(FileNotFoundError), path.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(path)
            except OSError:  # somebody holds it, or there are no locks here to tell
                found |= set(file.read().split())
    return found
