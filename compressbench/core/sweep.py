"""Sweep: runs of one command that differ in a few settings. What is to be run, and the note of how each run ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from compressbench.core.atomic import write_atomically
from compressbench.core.paths import found_run
from compressbench.core.process import Process
from compressbench.core.record import RunRecord
from compressbench.core.sealed import sealed, unsealed

NAME = "sweep.json"
WORD_LENGTH = 60
"""Letters of a setting in a name."""


class Point(NamedTuple):
    """A run of a sweep that is to be: its overrides, and of them what is swept, by key (`stages.prune.ratio`)."""

    overrides: list[str]
    values: dict[str, str]


@dataclass(frozen=True)
class Sweep:
    """What one command runs. identity: of what it computes. points: its runs, in order.

    shared: overrides that all runs share, and the first recipe if recipes are swept. launcher: overrides that say how
    runs are started. name: what its user calls it, empty if nothing. axes: by the override
    that names a recipe, what that recipe says shall be swept: the values by key.
    """

    identity: str
    points: list[Point]
    shared: list[str]
    launcher: list[str]
    name: str = ""
    axes: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def place(self, index: int, parallel: bool) -> Place:
        """Return the place of the point that is counted as `index`, from 0."""
        return Place(self.identity, index + 1, len(self.points), self.points[index].values, parallel)


@dataclass(frozen=True)
class Place:
    """A run's place in a sweep. sweep: its id. number: from 1. values: what was swept, by key, as written.

    parallel: whether it has a process of its own, so that others may print at the same time.
    """

    sweep: str
    number: int
    total: int
    values: dict[str, str]
    parallel: bool = False

    @property
    def name(self) -> str:
        """What every line about the run starts with: `2 of 5, ratio=0.3 seed=1`."""
        return ", ".join(filter(None, [f"{self.number} of {self.total}", worded(self.values)]))


@dataclass(frozen=True)
class Outcome:
    """How a run of a sweep ended. code: its exit code. error: why it failed, in one line, empty if it did not.

    run: its folder below `outputs/runs`, empty without a result.
    """

    number: int
    values: dict[str, str]
    code: int = 0
    error: str = ""
    run: str = ""


@dataclass(frozen=True)
class SweepRecord:
    """What a sweep is: its id, the overrides that make it, as written, and how its runs ended so far.

    name: what its user calls it. started: when it was last, as ISO 8601 in UTC; empty in notes of older versions, which
    were only written at the end. launcher: what starts its runs. points: what is swept, of each run in order. process:
    the one that started it. folder: the working directory. config_dir: a further folder of config groups.
    """

    sweep: str
    overrides: list[str]
    outcomes: list[Outcome]
    name: str = ""
    started: str = ""
    launcher: str = ""
    points: list[dict[str, str]] = field(default_factory=list)
    process: Process | None = None
    folder: str = ""
    config_dir: str | None = None

    @property
    def values(self) -> list[dict[str, str]]:
        """What is swept, of each run in order."""
        return self.points or [outcome.values for outcome in self.outcomes]

    def write(self, folder: Path) -> None:
        write_atomically(folder / NAME, sealed(asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> SweepRecord:
        """ValueError, naming the file, if it is no such note; OSError if it cannot be read."""
        try:
            data = unsealed(path.read_bytes())
            if "runs" in data:  # notes of version 0.2 listed only what had finished
                return cls(data["sweep"], [], [Outcome(n, {}, run=run) for n, run in enumerate(data["runs"], start=1)])
            data["outcomes"] = [Outcome(**outcome) for outcome in data["outcomes"]]
            if process := data.get("process"):
                data["process"] = Process(**process)
            return cls(**data)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: not the note of a sweep: {error}") from error

    def records(self, outputs: Path) -> list[RunRecord]:
        """Return the runs that have a result, in order, each as a point of this sweep alone."""
        return list(self.by_run(outputs).values())

    def by_run(self, outputs: Path) -> dict[str, RunRecord]:
        """Return what `records` does, by what the outcomes call a run."""
        found = {}
        for run in dict.fromkeys(outcome.run for outcome in self.outcomes if outcome.run):
            folder = outputs / "runs" / run
            folder = found_run(folder.parent, folder.name) or folder  # older notes say the whole identity
            if (folder / "record.json").is_file():
                found[run] = RunRecord.read(folder / "record.json").in_sweep(self.sweep)
        return found


def sweep_folder(outputs: Path, sweep: str) -> Path:
    """Return where a sweep keeps what belongs to all its runs."""
    return outputs / "sweeps" / sweep


def worded(values: dict[str, str]) -> str:
    """Return overrides for people: `ratio=0.3 seed=1 without finetune`; what is long is cut."""
    keys = list(values)
    return " ".join(_word(short, values[key]) for key, short in zip(keys, shortened(keys), strict=True))


def _word(key: str, value: str) -> str:
    word = f"{key}={value}" if value else f"without {key.lstrip('~')}"
    return word if len(word) <= WORD_LENGTH else f"{word[: WORD_LENGTH - 3]}..."


def shortened(keys: Sequence[str]) -> list[str]:
    """Return the last parts of dotted keys (`ratio`), where they differ: columns are narrow."""
    short = [key.rpartition(".")[2] for key in keys]
    return (
        short
        if len(set(short)) == len(keys)
        else [key.removeprefix("stages.").replace(".training.", ".") for key in keys]
    )


def are_numbers(values: Iterable[str]) -> bool:
    """Return whether every value can stand on an axis."""
    try:
        return all(isfinite(float(value)) for value in values)
    except ValueError:
        return False
