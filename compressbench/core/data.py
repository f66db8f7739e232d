"""Data as techniques, training and measuring see it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from compressbench.core.identity import digest
from compressbench.core.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from compressbench.core.task import Inputs, Task


class Split(Protocol):
    """Part of a dataset. Batches are (inputs, targets) as the dataset's task says, ready for the network."""

    def __len__(self) -> int:
        """Number of examples."""
        ...

    def limit(self, examples: int) -> Split:
        """Return a split of so many of the examples, always the same ones; all if there are fewer."""
        ...

    def to(self, device: torch.device) -> Split:
        """Return a split that makes the same batches, on `device` if its examples are held in memory."""
        ...

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None, augmented: bool = True
    ) -> Iterator[tuple[Inputs, Tensor]]:
        """Yield all examples once. With a generator: shuffled and, if the split augments and `augmented` is true,
        augmented, both drawn from it (so the same state gives the same batches); the last smaller batch is left
        out unless it is the only one. Without: in order, as they are, nothing left out."""
        ...


@dataclass(frozen=True)
class Splits:
    """`train` to fit, `validation` (held out from the training examples) to choose, `test` only to measure."""

    train: Split
    validation: Split
    test: Split

    def limit(self, examples: int | None) -> Splits:
        """Return splits of so many examples each; None: as they are."""
        if examples is None:
            return self
        return Splits(self.train.limit(examples), self.validation.limit(examples), self.test.limit(examples))


class Dataset(Protocol):
    """A frozen dataclass whose fields are its YAML keys. Where it lies is not part of its identity.

    A class attribute `version` above 1 is: it is raised when a change of the code changes the examples it makes.
    """

    @property
    def name(self) -> str: ...

    @property
    def task(self) -> Task:
        """What it is for. Known without reading any example. A `preprocessing` of the task says how a picture becomes
        what the test split gives."""
        ...

    def missing(self) -> str | None:
        """Return None if the data can be loaded, else a message that says where it looked and how to get it.
        May be called without torch's data being read; must be fast."""
        ...

    def sources(self) -> list[str]:
        """Return the files or folders it is read from; empty for made-up data. For cheap change detection."""
        ...

    def fingerprint(self) -> str:
        """Return hexadecimal digits that change whenever the data changes. Fast (no decoding)."""
        ...

    def test_fingerprint(self) -> str:
        """Return hexadecimal digits that change whenever the examples, targets or class names of the test split
        do, whatever it is called, wherever it lies and however the training examples are made."""
        ...

    def load(self) -> Splits:
        """Return the splits. Raises PlanError with `missing()` if the files are not there or not readable."""
        ...


@runtime_checkable
class NamesClasses(Protocol):
    """A dataset that says what its network's outputs are called."""

    def class_names(self) -> list[str]:
        """Return a name for each output, in the order of the labels. Reads no example. PlanError if that cannot be
        read."""
        ...


def class_names(dataset: Dataset) -> list[str] | None:
    """Return what the outputs are called, None for a dataset that is no `NamesClasses`."""
    return dataset.class_names() if isinstance(dataset, NamesClasses) else None


def preprocessing(dataset: Dataset) -> Preprocessing | None:
    """Return how a picture becomes what the test split gives, None if the task has nothing to do with pictures."""
    found: Preprocessing | None = getattr(dataset.task, "preprocessing", None)
    return found


HELD_OUT = ("validation_images", "validation_share")
"""What datasets call how many training examples are held out for validation; one that has neither always holds some."""


def holds_out(dataset: Dataset) -> bool:
    """Return whether training examples are held out, as far as the dataset's fields say."""
    return getattr(dataset, HELD_OUT[0], None) != 0


def measured_on(dataset: Dataset, examples: int | None) -> str:
    """Return 16 hexadecimal digits that say what the task's metrics are measured on: the test split's examples, how
    pictures become inputs, and how many are used (None: all). PlanError if the data is not there."""
    return digest([dataset.test_fingerprint(), preprocessing(dataset), examples])
