"""MapStyle: any map-style `torch.utils.data.Dataset` as data, of torchvision or of a plugin."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from compressbench.core.data import Splits
from compressbench.core.dotted import locate
from compressbench.core.errors import PlanError, out_of_range
from compressbench.core.identity import NOT_IDENTITY, digest
from compressbench.core.task import Task
from compressbench.data._examples import fingerprint, splits_of

TARGET = "_target_"
TORCHVISION = "torchvision.datasets."


@dataclass(frozen=True)
class MapStyle:
    """name: what reports call it; null: as the class of its training split. train, test, validation:
    `{_target_: plugins.Pets, ...}`, the class and its arguments for each split; its examples are pairs (inputs,
    target). task: `{_target_: ..., ...}`, what it is for.

    validation: null: `validation_share` of the training examples, drawn at random once and for all. Inputs and targets
    are anything torch makes tensors of, in the shapes the task says; pictures become inputs by the task's
    `preprocessing`. in_memory: read once and kept; else read anew in every epoch, by `workers` processes (0: this one),
    so that random transformations are new each time.
    """

    name: str | None
    train: dict[str, Any] = field(metadata=NOT_IDENTITY)
    test: dict[str, Any] = field(metadata=NOT_IDENTITY)
    validation: dict[str, Any] | None = field(metadata=NOT_IDENTITY)
    task: Task
    validation_share: float
    in_memory: bool
    workers: int = field(metadata=NOT_IDENTITY)

    def __post_init__(self) -> None:
        if not 0 <= self.validation_share < 1:
            raise out_of_range("validation_share", self.validation_share, "0 or more and less than 1")
        if self.workers < 0:
            raise out_of_range("workers", self.workers, "0 or more")
        for split, said in self._said().items():
            if not isinstance(said, Mapping) or TARGET not in said:
                raise ValueError(f"{split} is {said!r}; allowed: a mapping with `{TARGET}`")
        if self.name is None:
            object.__setattr__(self, "name", str(self.train[TARGET]).rpartition(".")[2].lower())
        for split, said in self._said().items():
            code, own = _code(split, said)
            try:
                inspect.signature(code).bind(**own)
            except TypeError as error:
                raise ValueError(f"{split}: {said[TARGET]} {error}") from error

    def missing(self) -> str | None:
        return None

    def sources(self) -> list[str]:
        """Return the file of each class, and its arguments that are paths of something that is there."""
        found = []
        for split, said in self._said().items():
            code, own = _code(split, said)
            found += [str(inspect.getsourcefile(code) or "")]
            found += [value for value in own.values() if _is_path(value)]
        return sorted({source for source in found if source})

    def fingerprint(self) -> str:
        """Return digits that change with the task, the classes, their arguments but for paths, and the examples; of
        those that are not kept in memory only some are looked at. Once, for that may mean reading all of them."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return self._digest({split: self._made(split) for split in self._said()})

    def test_fingerprint(self) -> str:
        return self._test_fingerprint

    @cached_property
    def _test_fingerprint(self) -> str:
        return self._digest({"test": self._made("test")})

    def load(self) -> Splits:
        made = {split: self._made(split) for split in self._said()}
        return splits_of(str(self.name), self.task, made, self.validation_share, self.in_memory, self.workers)

    def _digest(self, made: dict[str, Any]) -> str:
        said = [
            {name: value for name, value in self._said()[split].items() if not _is_path(value)}
            for split in sorted(made)
        ]
        return digest([said, fingerprint(self.task, made, self.in_memory)])

    def _said(self) -> dict[str, dict[str, Any]]:
        given = {"train": self.train, "validation": self.validation, "test": self.test}
        return {split: said for split, said in given.items() if said is not None}

    def _made(self, split: str) -> Any:
        said = self._said()[split]
        code, own = _code(split, said)
        try:
            return code(**own)
        except Exception as error:  # a dataset is somebody's code
            what = f"{said[TARGET]} raises {type(error).__name__}: {error}"
            raise PlanError.of(f"dataset.{split}", what) from error


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and Path(value).expanduser().exists()


def _code(split: str, said: Mapping[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the class that a split names, and its arguments. ValueError if it may not be named, or is no dataset."""
    target = str(said[TARGET])
    code = _of_torchvision(target) if target.startswith(TORCHVISION) else locate(target, TORCHVISION)
    if not all(hasattr(code, name) for name in ("__len__", "__getitem__")):
        raise ValueError(f"{split}: {target} is no map-style dataset; it needs __len__ and __getitem__")
    return code, {name: value for name, value in said.items() if name != TARGET}


def _of_torchvision(target: str) -> Callable[..., Any]:
    from compressbench.vision import torchvision

    datasets = torchvision("datasets")
    name = target.removeprefix(TORCHVISION)
    if name not in datasets.__all__:
        raise ValueError(f"torchvision.datasets has no {name!r}")
    found: Callable[..., Any] = getattr(datasets, name)
    return found
