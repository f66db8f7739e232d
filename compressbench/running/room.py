"""What lies in the caches, how much room it takes, and what of it can go. Needs no torch."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from compressbench.core.errors import RunError
from compressbench.core.lock import alone
from compressbench.core.paths import machine_cache
from compressbench.core.record import RunRecord
from compressbench.core.temporary import NAMED, find_left_behind, remove, sweep
from compressbench.running.folders import CHECKPOINTS, RECORD, STAGE, stage_lock
from compressbench.running.in_use import relied_on

SECONDS_A_DAY = 86_400.0
NEVER_NEEDED = ("checkpoints of finished stages", "left by killed processes")
KEPT_BY_AGE = "decoded images"
"""No record says whether these are still used."""
_swept: set[Path] = set()


@dataclass(frozen=True)
class Entry:
    """Something in a cache. age_days: since it was written. used: a record names it, or a run relies on it now."""

    kind: str
    path: Path
    size_bytes: int
    age_days: float
    used: bool


def sweep_left_behind(outputs: Path) -> None:
    """Remove what killed processes left below `outputs` and in the machine's cache: once a process, not for long."""
    if outputs not in _swept:
        _swept.add(outputs)
        for folder in _tops(outputs):
            sweep(folder)


def entries(outputs: Path) -> list[Entry]:
    """Return all that lies in the cache below `outputs` and in the machine's, with what killed processes left."""
    used = _named_in_records(outputs) | relied_on(outputs / "cache")
    found = [
        _entry(kind, path, without, path.name in used) for kind, path, without in _stages(outputs / "cache" / "stages")
    ]
    cache, machine = outputs / "cache", machine_cache()
    places = {"notes of finished runs": cache / "finished", KEPT_BY_AGE: machine / "decoded"}
    for kind, folder in places.items():
        found += [_entry(kind, path) for path in _inside(folder) if path.is_file()]
    return found + [_entry(NEVER_NEEDED[1], path) for top in _tops(outputs) for path in find_left_behind(top)]


def prune(outputs: Path, older_than_days: float | None, unused: bool, dry_run: bool) -> list[Entry]:
    """Remove what can go, and return it; with `dry_run`, return what would be removed.

    Always: what killed processes left, and checkpoints of finished stages. unused: also stages that no record below
    `outputs` names. older_than_days: also what was written longer ago, whether a record names it or not; with
    `unused`, only that of it. What a living process relies on or works at stays in any case.
    """
    living, gone = relied_on(outputs / "cache"), []
    for entry in entries(outputs):
        if entry.path.name not in living and _may_go(entry, older_than_days, unused) and (dry_run or _remove(entry)):
            gone.append(entry)
    return gone


def _may_go(entry: Entry, older_than_days: float | None, unused: bool) -> bool:
    if entry.kind in NEVER_NEEDED:
        return True
    old = older_than_days is not None and entry.age_days >= older_than_days
    if not unused:
        return old
    return not entry.used and entry.kind != KEPT_BY_AGE and (old or older_than_days is None)


def _remove(entry: Entry) -> bool:
    """Return whether it is gone. A stage goes under its lock, and with it: somebody may be computing it."""
    stage = entry.path.parent if entry.path.name == CHECKPOINTS else entry.path
    if stage.parent.name != "stages":
        remove(entry.path)
        return not entry.path.exists()
    lock = stage_lock(stage.parent, stage.name)
    try:
        with alone(lock, limit_s=0):
            remove(entry.path)
            if entry.path == stage:
                remove(lock)
    except RunError:
        return False
    return not entry.path.exists()


def _stages(folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield the kind of each stage's folder, and of its checkpoints: (kind, path, name of a part counted elsewhere)."""
    for path in _inside(folder):
        if path.is_dir() and not path.name.startswith("."):
            finished = (path / STAGE).is_file()
            yield ("stages", path, CHECKPOINTS) if finished else ("unfinished stages", path, "")
            if finished and (path / CHECKPOINTS).is_dir():
                yield NEVER_NEEDED[0], path / CHECKPOINTS, ""


def _named_in_records(outputs: Path) -> set[str]:
    found: set[str] = set()
    for path in (outputs / "runs").rglob(RECORD):
        with suppress(OSError, ValueError):
            for stage in RunRecord.read(path).stages:
                found |= {stage.stage_id, *stage.reads.values()}
    return found


def _tops(outputs: Path) -> list[Path]:
    return [*(outputs / name for name in ("cache", "runs", "sweeps")), machine_cache()]


def _inside(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)]
    except OSError:
        return []


def _entry(kind: str, path: Path, without: str = "", used: bool = False) -> Entry:
    """Return the entry for a file or a folder with all it holds. without: a subfolder that does not count."""
    size_bytes, written, pending = 0, 0.0, [path]
    while pending:
        each = pending.pop()
        with suppress(OSError):
            status = each.lstat()
            written = max(written, status.st_mtime)
            if stat.S_ISDIR(status.st_mode):
                pending += [inside for inside in _inside(each) if _counts(inside, path / without)]
            else:
                size_bytes += status.st_size
    return Entry(kind, path, size_bytes, max(0.0, time.time() - written) / SECONDS_A_DAY, used)


def _counts(inside: Path, without: Path) -> bool:
    """Return whether a part counts as part of its folder; temporaries are entries of their own."""
    return inside != without and not NAMED.fullmatch(inside.name)
