"""Context: what the runner lends to a technique. Never the test split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from compressbench.core.objective import Hook, Objective
    from compressbench.core.source import Source
    from compressbench.core.subject import Subject
    from compressbench.core.task import Inputs, Task
    from compressbench.core.training import TrainingConfig

Advance = Callable[..., None]
"""`advance(steps=1, note="")` moves a progress bar; the note stands behind it, e.g. the loss."""


class Progress(Protocol):
    """Shows how far long work is. Plain text when the output is no terminal."""

    def task(self, description: str, total: int) -> AbstractContextManager[Advance]: ...


class Context(Protocol):
    """Lent to `Technique.apply`."""

    @property
    def generator(self) -> torch.Generator:
        """Seeded by the stage; the only source of randomness a technique may use. The global state is left alone."""
        ...

    @property
    def task(self) -> Task:
        """What the network is for."""
        ...

    @property
    def example(self) -> Inputs:
        """Zeros, a batch of one, as the task says."""
        ...

    @property
    def progress(self) -> Progress: ...

    def train(
        self, subject: Subject, config: TrainingConfig, objective: Objective | None = None, hooks: Sequence[Hook] = ()
    ) -> Subject:
        """Return the subject trained on the training split, its constraints kept after every step.

        objective: what is minimised; None: the loss that `config` names. hooks act in the order given.
        ValueError if the objective names a module, or `config.lr_factors` a parameter, that the network does not have.
        """
        ...

    def steps(self, config: TrainingConfig) -> int:
        """Return how many optimizer steps such a training takes, limits included; at least 1."""
        ...

    def validate(self, subject: Subject) -> dict[str, float]:
        """Return the task's metrics of the subject on the validation split, by name, to choose by.

        ValueError if no training examples are held out for validation. Before a run, where nothing is trained, the
        figures are made up: the same for every subject.
        """
        ...

    def count(self, subject: Subject) -> dict[str, int]:
        """Return `params`, `macs` and others by the names of their metrics, and `size_bytes` of the packed file as it
        would be now, without the note about its origin. ValueError if the subject cannot be packed as it is."""
        ...

    def calibration(self, batch_size: int, batches: int) -> Iterator[tuple[Inputs, Tensor]]:
        """Yield batches of training examples, not augmented, shuffled by the stage's seed: the same ones each time."""
        ...

    def subject_of(self, source: Source) -> Subject:
        """Return a copy of the result of another stage: of this run, of another recipe, or from a file.

        ValueError, naming the stages there are, for one that is not before this one.
        """
        ...
