"""What lies in the caches, how much room it takes, and what of it can go. Needs no torch."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from compressbench.core.errors import PlanError, RunError, suggestion
from compressbench.core.lock import alone
from compressbench.core.paths import machine_cache
from compressbench.core.record import RunRecord
from compressbench.core.sealed import unsealed
from compressbench.core.temporary import NAMED, find_left_behind, remove, sweep
from compressbench.running.folders import CHECKPOINTS, RECORD, STAGE, stage_lock
from compressbench.running.in_use import relied_on

SECONDS_A_DAY = 86_400.0
NEVER_NEEDED = ("checkpoints of finished stages", "left by killed processes")
STAGE_KINDS = ("stages", "unfinished stages")
FINISHED = "notes of finished runs"
KEPT_BY_AGE = "decoded images"
"""No record says whether these are still used."""
_swept: set[Path] = set()


class Naming(NamedTuple):
    """What a stage is called where it is named."""

    recipe: str
    stage: str
    seed: str

    def __str__(self) -> str:
        return f"{self.recipe}: {self.stage}, seed {self.seed}"


@dataclass(frozen=True)
class Entry:
    """Something in a cache. age_days: since it was written. named: by each record that needs it. now: a run that goes
    on relies on it. made_for: which stage it is of, even if no record names it; None if nobody noted that."""

    kind: str
    path: Path
    size_bytes: int
    age_days: float
    named: tuple[Naming, ...] = ()
    now: bool = False
    made_for: Naming | None = None

    @property
    def used(self) -> bool:
        return bool(self.named) or self.now

    @property
    def is_stage(self) -> bool:
        return self.kind in STAGE_KINDS

    def matches(self, pattern: str) -> bool:
        """Return whether it is of a recipe that a glob stands for, or its identity begins so."""
        recipes = {naming.recipe for naming in (*self.named, self.made_for) if naming}
        return self.path.name.startswith(pattern) or any(fnmatchcase(recipe, pattern) for recipe in recipes)


def sweep_left_behind(outputs: Path) -> None:
    """Remove what killed processes left below `outputs` and in the machine's cache: once a process, not for long."""
    if outputs not in _swept:
        _swept.add(outputs)
        for folder in _tops(outputs):
            sweep(folder)


def entries(outputs: Path) -> list[Entry]:
    """Return all that lies in the cache below `outputs` and in the machine's, with what killed processes left."""
    named, living = _named_in_records(outputs), relied_on(outputs / "cache")
    found = [
        _entry(kind, path, without, tuple(named.get(path.name, ())), path.name in living)
        for kind, path, without in _stages(outputs / "cache" / "stages")
    ]
    cache, machine = outputs / "cache", machine_cache()
    places = {FINISHED: cache / "finished", KEPT_BY_AGE: machine / "decoded"}
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
        may_go = entry.kind in NEVER_NEEDED or _may_go(entry, older_than_days, unused)
        if entry.path.name not in living and may_go and (dry_run or removed(entry)):
            gone.append(entry)
    return gone


def stages_listed(outputs: Path, names: Sequence[str], older_than_days: float | None, unused: bool) -> list[Entry]:
    """Return the stages in the cache, the largest first: those of recipes that `names` stand for (globs, or beginnings
    of identities; none: all), and of these what `prune` would choose by the other two.

    PlanError for a name that stands for none.
    """
    chosen = named_so([entry for entry in entries(outputs) if entry.is_stage], names)
    if unused or older_than_days is not None:
        chosen = [entry for entry in chosen if _may_go(entry, older_than_days, unused)]
    return sorted(chosen, key=lambda entry: -entry.size_bytes)


def named_so(found: Sequence[Entry], names: Sequence[str]) -> list[Entry]:
    """Return the entries that names stand for, all if there are none. PlanError for a name that stands for none."""
    for name in names:
        if not any(entry.matches(name) for entry in found):
            near = suggestion(name, {naming.recipe for entry in found for naming in entry.named})
            raise PlanError.of("cache", f"no stage is of {name!r}; {near}")
    return [entry for entry in found if not names or any(entry.matches(name) for name in names)]


def _may_go(entry: Entry, older_than_days: float | None, unused: bool) -> bool:
    old = older_than_days is not None and entry.age_days >= older_than_days
    if not unused:
        return old
    return not entry.used and entry.kind != KEPT_BY_AGE and (old or older_than_days is None)


def removed(entry: Entry) -> bool:
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


def _named_in_records(outputs: Path) -> dict[str, list[Naming]]:
    """Return what each record calls the stages that it needs, by their identity."""
    found: dict[str, list[Naming]] = {}
    for path in sorted((outputs / "runs").rglob(RECORD)):
        with suppress(OSError, ValueError):
            for stage_id, naming in _needed(RunRecord.read(path)).items():
                found.setdefault(stage_id, []).append(naming)
    return found


def _needed(record: RunRecord) -> dict[str, Naming]:
    """Return its own stages, and those of other recipes that they read (`table6/cifar10_base: train`)."""
    found = {}
    for stage in record.networks:
        for words, stage_id in stage.reads.items():
            recipe, _, name = words.rpartition(": ")
            found[stage_id] = Naming(recipe or record.recipe, name, str(record.seed))
    own = {stage.stage_id: Naming(record.recipe, stage.name, str(record.seed)) for stage in record.networks}
    return found | own


def _made_for(path: Path) -> Naming | None:
    """Return what a stored stage says that it was computed for."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return Naming(**unsealed((path / STAGE).read_bytes())["made_for"])
    return None


def _tops(outputs: Path) -> list[Path]:
    return [*(outputs / name for name in ("cache", "runs", "sweeps")), machine_cache()]


def _inside(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)]
    except OSError:
        return []


def _entry(kind: str, path: Path, without: str = "", named: tuple[Naming, ...] = (), now: bool = False) -> Entry:
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
    made_for = named[0] if named else _made_for(path)
    return Entry(kind, path, size_bytes, max(0.0, time.time() - written) / SECONDS_A_DAY, named, now, made_for)


def _counts(inside: Path, without: Path) -> bool:
    """Return whether a part counts as part of its folder; temporaries are entries of their own."""
    return inside != without and not NAMED.fullmatch(inside.name)
