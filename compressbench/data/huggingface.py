"""HuggingFace: any dataset of the `datasets` library that was saved on disk (`save_to_disk`) as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from compressbench.core.data import Splits
from compressbench.core.errors import PlanError, out_of_range, suggestion
from compressbench.core.identity import NOT_IDENTITY, digest
from compressbench.core.installation import missing
from compressbench.core.task import Task
from compressbench.data._examples import fingerprint, splits_of

PACKAGE = "datasets"


@dataclass(frozen=True)
class HuggingFace:
    """name: what reports call it; null: as its folder. root: the folder that `DatasetDict.save_to_disk` wrote.
    train, test, validation: the splits' names in it. inputs: the columns a network is called with, in this order.
    target: the column of answers. task: `{_target_: ..., ...}`, what it is for.

    validation: null: `validation_share` of the training examples, drawn at random once and for all. Columns hold
    numbers, lists of them of one length, or pictures. in_memory: read once and kept; else read anew in every epoch, by
    `workers` processes (0: this one).
    """

    name: str | None
    root: str = field(metadata=NOT_IDENTITY)
    inputs: list[str]
    target: str
    task: Task
    train: str
    test: str
    validation: str | None
    validation_share: float
    in_memory: bool
    workers: int = field(metadata=NOT_IDENTITY)

    def __post_init__(self) -> None:
        if self.name is None:
            object.__setattr__(self, "name", self._folder().name)
        if not self.inputs:
            raise out_of_range("inputs", self.inputs, "one column or more")
        if not 0 <= self.validation_share < 1:
            raise out_of_range("validation_share", self.validation_share, "0 or more and less than 1")
        if self.workers < 0:
            raise out_of_range("workers", self.workers, "0 or more")

    def missing(self) -> str | None:
        if find_spec(PACKAGE) is None:
            return missing([PACKAGE], "huggingface")
        if not self._folder().is_dir():
            return f"{self.name} is not there: looked for {self._folder()}. Say where it is with dataset.root=FOLDER."
        return None

    def sources(self) -> list[str]:
        return [str(self._folder())] if self._folder().is_dir() else []

    def fingerprint(self) -> str:
        """Return digits that change with the task, the columns, and the examples; of those that are not kept in
        memory only some are looked at. Once, for that may mean reading all of them."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return self._digest(self._splits())

    def test_fingerprint(self) -> str:
        return self._test_fingerprint

    @cached_property
    def _test_fingerprint(self) -> str:
        return self._digest({"test": self._splits()["test"]})

    def load(self) -> Splits:
        return splits_of(str(self.name), self.task, self._splits(), self.validation_share, self.in_memory, self.workers)

    def _folder(self) -> Path:
        return Path(self.root).expanduser().absolute()

    def _digest(self, splits: dict[str, Columns]) -> str:
        return digest([self.inputs, self.target, fingerprint(self.task, splits, self.in_memory)])

    def _splits(self) -> dict[str, Columns]:
        """Return the splits that are named. PlanError if they, or the columns, are not there."""
        if reason := self.missing():
            raise PlanError.of("dataset", reason)
        import datasets  # an extra, and a second

        try:
            stored: Any = datasets.load_from_disk(str(self._folder()))
        except Exception as error:  # whatever the library raises
            what = f"{self._folder()} cannot be read: {error}; expected a folder that DatasetDict.save_to_disk wrote"
            raise PlanError.of("dataset.root", what) from error
        if not isinstance(stored, dict):
            raise PlanError.of("dataset.root", f"{self._folder()} holds a single split; save a DatasetDict")
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        found = {}
        for split, said in named.items():
            if said is None:
                continue
            if said not in stored:
                raise PlanError.of(f"dataset.{split}", f"there is no split {said!r}; {suggestion(said, stored)}")
            for column in (*self.inputs, self.target):
                if column not in stored[said].column_names:
                    near = suggestion(column, stored[said].column_names)
                    raise PlanError.of("dataset.inputs", f"{said} has no column {column!r}; {near}")
            found[split] = Columns(stored[said], self.inputs, self.target)
        return found


class Columns:
    """Rows of a table as pairs (inputs, target)."""

    def __init__(self, rows: Any, inputs: list[str], target: str):
        self.rows, self.inputs, self.target = rows, inputs, target

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        row = self.rows[number]
        given = tuple(row[name] for name in self.inputs)
        return given if len(given) > 1 else given[0], row[self.target]
