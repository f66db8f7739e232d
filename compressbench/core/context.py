"""Context: what the runner lends to a technique. Never the test split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from compressbench.core.subject import Subject
    from compressbench.core.training import TrainingConfig

Advance = Callable[..., None]
"""`advance(steps=1, note="")` moves a progress bar; the note stands behind it, e.g. the loss."""

Hook = Callable[["nn.Module"], None]
"""Called after every backward pass and before the optimizer's step; adds to the gradients."""


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
    def example(self) -> Tensor:
        """Zeros of the input's shape with batch 1: (1, C, H, W)."""
        ...

    @property
    def progress(self) -> Progress: ...

    def train(self, subject: Subject, training: TrainingConfig, penalty: Hook | None = None) -> Subject:
        """Return the subject trained on the training split, its constraints kept after every step."""
        ...

    def steps(self, training: TrainingConfig) -> int:
        """Return how many optimizer steps such a training takes, limits included; at least 1."""
        ...

    def calibration(self, batch_size: int, batches: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of training images, not augmented, shuffled by the stage's seed: the same ones each time."""
        ...

    def earlier(self, stage: str) -> Subject:
        """Return a copy of the result of an earlier stage; `start` is the subject before the first one.
        ValueError, naming the stages there are, for another name."""
        ...
