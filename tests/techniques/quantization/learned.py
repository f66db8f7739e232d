"""A small network that has learned scikit-learn's digits, and the real training loop for its quantizers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from compressbench.core.data import Splits
from compressbench.core.objective import Hook
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.data.digits import Digits
from compressbench.data.in_memory import InMemorySplit
from compressbench.packing.levels import from_levels, to_levels
from compressbench.training.loop import train
from tests.techniques.lending import StageContext, bare, seeded

FIELDS = {
    "epochs": 8,
    "batch_size": 64,
    "lr": 0.05,
    "optimizer": "sgd",
    "schedule": "cosine",
    "weight_decay": 5e-4,
    "precision": "fp32",
}
"""A training of 152 steps, with momentum and weight decay."""
LEARNING = TrainingConfig(**{**FIELDS, "lr": 0.1})  # type: ignore[arg-type]


class DigitsContext(StageContext):
    """Trains for real, on digits of 8x8 pixels."""

    def __init__(self, seed: int = 0):
        super().__init__(channels=1, side=8, seed=seed)

    def train(
        self, subject: Subject, training: TrainingConfig, objective: Any = None, hooks: Sequence[Hook] = ()
    ) -> Subject:
        self.trained.append(training)
        splits, seed = digits(), len(self.trained)
        trained = train(
            subject,
            training,
            splits.train,
            splits.validation,
            task=self.task,
            seed=seed,
            limits=Limits(),
            progress=self.progress,
            objective=objective,
            hooks=hooks,
        )
        return trained.subject

    def calibration(self, batch_size: int, batches: int) -> Iterator[tuple[Tensor, Tensor]]:
        return islice(digits().train.batches(batch_size), batches)


@cache
def digits() -> Splits:
    """Return the splits of the dataset, each image as small as it was made."""
    shown = Digits().load()
    small = []
    for split in (shown.train, shown.validation, shown.test):
        assert isinstance(split, InMemorySplit)
        images, labels = split.images[:, :, ::4, ::4].contiguous(), split.labels
        small.append(InMemorySplit(images, labels, split.mean, split.std, pad=0, flip=False))
    return Splits(*small)


def learned() -> Subject:
    """Return a copy of a trained perceptron 64-64-64-10 with batch normalisation; layers 1, 4 and 7 have weights."""
    return _learned().clone()


@cache
def _learned() -> Subject:
    return DigitsContext().train(bare(seeded(_network)), LEARNING)


def _network() -> nn.Module:
    layers = [nn.Flatten(), nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU()]
    layers += [nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10)]
    return nn.Sequential(*layers)


@torch.no_grad()
def accuracy(subject: Subject) -> float:
    """Return the top1 on the 360 test images."""
    subject.model.eval()
    test = digits().test
    right = [(subject.model(images).argmax(1) == labels).sum() for images, labels in test.batches(360)]
    return float(sum(right)) / len(test)


def assert_stored_exactly(subject: Subject) -> None:
    """Every tensor is what its format can say, to the bit."""
    for name, form in subject.formats.items():
        tensor = subject.model.get_parameter(name).detach().numpy()
        levels = to_levels(tensor, form)
        assert (from_levels(levels, form, tensor.shape, tensor.dtype) == tensor).all(), name


def assert_plain(subject: Subject) -> None:
    """No function is left over a parameter, and training can go on with every promise kept."""
    names = [f"{number}.{tensor}" for number in (1, 2, 4, 5, 7) for tensor in ("weight", "bias")]
    assert [name for name, _ in subject.model.named_parameters()] == names
    before = {name: subject.model.get_parameter(name).detach().clone() for name in subject.formats}
    DigitsContext().train(subject, TrainingConfig(**{**FIELDS, "epochs": 1}))  # type: ignore[arg-type]
    for name, value in before.items():
        assert torch.equal(subject.model.get_parameter(name), value), name
