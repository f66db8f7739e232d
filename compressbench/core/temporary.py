"""Temporaries whose name says which process they belong to, so that what a killed one left behind can be swept."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LETTERS = r"[a-z0-9_]{8}"
"""What Python's `tempfile` puts behind a prefix."""
NAMED = re.compile(rf"\.?.+\.tmp-([0-9a-f]{{8}})-(\d+)-{LETTERS}")
UNNAMED = re.compile(rf"\..+\.{LETTERS}|tracked\.json\.\d+|\.download-{LETTERS}")
"""As versions before 0.3 called theirs."""
ABANDONED_S = 86_400.0
"""Of another machine, or without a process in its name, a temporary counts as left behind after so long."""
SWEEP_S = 0.2
"""A sweep takes no longer: the next one goes on with what it did not get to."""


def prefix(name: str) -> str:
    """Return the beginning of a temporary's name, for `tempfile`: of this process, on this machine."""
    return f"{name}.tmp-{machine()}-{os.getpid()}-"


def machine() -> str:
    """Return digits that tell the machines apart that share a folder, without naming them."""
    return hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:8]


def alive(process: int) -> bool:
    """Return whether there is a process of that number on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def left_behind(entry: os.DirEntry[str], now: float) -> bool:
    """Return whether this is a temporary of a process that has ended. now: `time.time()`, to see how old it is."""
    named = NAMED.fullmatch(entry.name)
    if not named and not UNNAMED.fullmatch(entry.name):
        return False
    if named and named[1] == machine() and not alive(int(named[2])):
        return True
    with suppress(OSError):
        return now - entry.stat(follow_symlinks=False).st_mtime > ABANDONED_S
    return False


def find_left_behind(folder: Path, end: float | None = None, deep: bool = True) -> Iterator[Path]:
    """Yield what killed processes left in a folder and, if `deep`, below it. end: `time.monotonic()` to stop at."""
    below, now = [], time.time()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if left_behind(entry, now):
                    yield Path(entry.path)
                elif deep and entry.is_dir(follow_symlinks=False):
                    below.append(Path(entry.path))
    except OSError:
        return  # not there, or not ours to read
    for each in below:
        if end is not None and time.monotonic() > end:
            return
        yield from find_left_behind(each, end)


def sweep(folder: Path, beginning: str = "", deep: bool = True) -> None:
    """Remove what killed processes left in a folder, of names with a `beginning`; those of living ones stay."""
    for path in list(find_left_behind(folder, time.monotonic() + SWEEP_S, deep)):
        if path.name.startswith(beginning):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder with all in it, if it is there and ours."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
