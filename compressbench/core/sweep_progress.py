"""How far a sweep is: what each process that works for it notes in a log of its own, and what all of them say together.

Nobody else writes into a process's log, so that nothing has to be locked, on shared folders of several machines either.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compressbench.core.process import Process
from compressbench.core.sweep import NAME, Outcome, SweepRecord
from compressbench.core.temporary import remove

FOLDER = "points"
"""In the folder of a sweep: the logs."""
FINISHED, FAILED, RUNNING, INTERRUPTED, NOT_STARTED = "finished", "failed", "running", "interrupted", "not started"
STATES = (FINISHED, FAILED, RUNNING, INTERRUPTED, NOT_STARTED)


@dataclass(frozen=True)
class Work:
    """A point that a process has begun and not ended. since: when, as ISO 8601 in UTC. stopped: whether it was broken
    off, by Ctrl-C or otherwise, by a process that may live on."""

    number: int
    process: Process
    since: str
    stopped: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether it is being worked at; of what another machine works at that is taken to be so."""
        return not self.stopped and self.process.lives is not False


@dataclass(frozen=True)
class PointState:
    """Where a point is, of `STATES`. outcome: of one that was finished or has failed. work: of one that was begun."""

    number: int
    values: dict[str, str]
    state: str
    outcome: Outcome | None = None
    work: Work | None = None


@dataclass(frozen=True)
class Progress:
    """A sweep's note, with the outcomes so far, and what is being worked at, by processes that may have ended."""

    note: SweepRecord
    works: list[Work]

    @property
    def states(self) -> list[PointState]:
        """Where each point is, in order."""
        outcomes = {outcome.number: outcome for outcome in self.note.outcomes}
        begun = {work.number: work for work in sorted(self.works, key=lambda work: work.goes_on)}
        return [
            _state(number, values, outcomes.get(number), begun.get(number))
            for number, values in enumerate(self.note.values, start=1)
        ]

    @property
    def started(self) -> bool:
        """Whether any point was begun."""
        return bool(self.works or self.note.outcomes)

    @property
    def living(self) -> list[Process]:
        """The processes that work for it: who started it first. Those of other machines are taken to live if they noted
        a point that has no end."""
        launcher, busy = self.note.process, [state.work for state in self.states if state.state == RUNNING]
        first = [launcher] if launcher and launcher.lives else []
        return list(dict.fromkeys([*first, *(work.process for work in busy if work)]))


def now() -> str:
    """Return the time as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def began(folder: Path, number: int) -> None:
    """Note that this process begins a point. folder: the sweep's."""
    _append(folder, {"begins": asdict(Work(number, Process.current(), now()))})


def broken_off(folder: Path, number: int) -> None:
    """Note that this process works no longer at a point that it had begun."""
    _append(folder, {"stops": number})


def ended(folder: Path, outcome: Outcome) -> None:
    """Note how a point ended that this process had begun."""
    _append(folder, {"ends": asdict(outcome)})


def read_progress(folder: Path) -> Progress:
    """Return how far the sweep in a folder is. ValueError, naming the file, if its note is damaged; OSError if it
    cannot be read."""
    note = SweepRecord.read(folder / NAME)
    outcomes, works = {outcome.number: outcome for outcome in note.outcomes}, []
    for log in _logs(folder):
        ends, dangling = _told(log)
        # A point may be started by two commands at a time, or again: what was finished once stays so.
        outcomes |= {n: outcome for n, outcome in ends.items() if outcome.run or not _finished(outcomes.get(n))}
        works += dangling
    return Progress(replace(note, outcomes=[outcomes[number] for number in sorted(outcomes)]), works)


def settle(folder: Path, note: SweepRecord) -> None:
    """Write the note, and remove the logs that say nothing beyond it: those of processes that have ended, or that have
    no point without an end. note: has the outcomes of the logs."""
    note.write(folder)
    known = {outcome.number for outcome in note.outcomes}
    for log in _logs(folder):
        going_on = [work for work in _told(log)[1] if work.goes_on]
        if not any(work.process.here or work.number not in known for work in going_on):
            remove(log)
    with suppress(OSError):  # somebody still works
        (folder / FOLDER).rmdir()


def _state(number: int, values: dict[str, str], outcome: Outcome | None, work: Work | None) -> PointState:
    if _finished(outcome):
        return PointState(number, values, FINISHED, outcome)
    if work and work.goes_on:
        return PointState(number, values, RUNNING, None, work)
    if outcome:
        return PointState(number, values, FAILED, outcome)
    return PointState(number, values, INTERRUPTED if work else NOT_STARTED, None, work)


def _finished(outcome: Outcome | None) -> bool:
    return outcome is not None and bool(outcome.run)


def _append(folder: Path, entry: dict[str, Any]) -> None:
    """Add a line to this process's log; what cannot be noted costs no result."""
    own = Process.current()
    log = folder / FOLDER / f"{own.machine}-{own.number}-{own.born}.jsonl"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write(json.dumps(entry) + "\n")
    except OSError as error:
        warnings.warn(f"how far the sweep is cannot be noted: {log}: {error.strerror}", stacklevel=3)


def _logs(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("*.jsonl"))


def _told(log: Path) -> tuple[dict[int, Outcome], list[Work]]:
    """Return how points ended by their number, and the points without an end."""
    ends: dict[int, Outcome] = {}
    open_: dict[int, Work] = {}
    for entry in _entries(log):
        with suppress(TypeError, KeyError):  # of another version
            if "ends" in entry:
                outcome = Outcome(**entry["ends"])
                ends[outcome.number] = outcome
                open_.pop(outcome.number, None)
            elif "stops" in entry:
                open_[entry["stops"]] = replace(open_[entry["stops"]], stopped=True)
            else:
                told = entry["begins"]
                work = Work(told["number"], Process(**told["process"]), told["since"])
                open_[work.number] = work
    return ends, list(open_.values())


def _entries(log: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = log.read_text().splitlines()
    except OSError:  # settled meanwhile
        return
    for line in lines:
        with suppress(ValueError):  # a kill or a full disk cut it off
            entry = json.loads(line)
            if isinstance(entry, dict):
                yield entry
