"""Real digits, a small network, and a progress that can be told to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.context import Advance
from compressbench.core.data import Splits
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.data.digits import Digits
from compressbench.training.loop import Trained, train
from tests.training.trained import Run


class KilledError(Exception):
    """Stands for whatever ends a process in the middle."""


class Steps:
    """Counts the steps of a training; raises `KilledError` after `last` of them."""

    def __init__(self, last: int | None = None):
        self.last, self.done, self.total, self.notes = last, 0, 0, list[str]()

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        self.total = total

        def advance(steps: int = 1, note: str = "") -> None:
            self.done += steps
            self.notes.append(note)
            if self.last is not None and self.done > self.last:
                raise KilledError

        yield advance


@pytest.fixture(scope="session")
def digits() -> Splits:
    """1,257 training, 180 validation and 360 test images, 1 x 32 x 32."""
    return Digits().load()


@pytest.fixture
def steps() -> type[Steps]:
    return Steps


@pytest.fixture
def killed() -> type[Exception]:
    return KilledError


@pytest.fixture
def fresh() -> Callable[[], Subject]:
    """Returns the same small untrained network every time: convolution, batch normalisation, dropout."""

    def build() -> Subject:
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(8 * 7 * 7, 10),
        )
        return Subject(model, Architecture("compressbench.zoo.none"))

    return build


@pytest.fixture
def short() -> TrainingConfig:
    """Four epochs of nine steps."""
    return TrainingConfig(
        epochs=4,
        batch_size=128,
        lr=0.1,
        optimizer="sgd",
        schedule="one_cycle",
        weight_decay=1e-4,
        nesterov=True,
        precision="fp32",
    )


@pytest.fixture
def run(digits: Splits, steps: Any, fresh: Callable[[], Subject]) -> Run:
    """Trains the small network; `last`: the step after which it is killed."""

    def run(
        training: TrainingConfig, limits: Limits | None = None, seed: int = 3, last: int | None = None, **others: Any
    ) -> Trained:
        return train(
            others.pop("subject", None) or fresh(),
            training,
            digits.train,
            others.pop("validation", digits.validation),
            task=Digits().task,
            seed=seed,
            limits=limits or Limits(),
            progress=steps(last),
            **others,
        )

    return run
