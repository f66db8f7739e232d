"""What a runner lends to a technique, as little of it as a test needs, on made-up images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from compressbench.core.architecture import Architecture
from compressbench.core.context import Advance
from compressbench.core.objective import Hook
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.running.counting import counts_and_size

Made = TypeVar("Made")

ALEXNET = "compressbench.zoo.alexnet.AlexNet"
PLAIN = {"batch_norm": False, "dropout": 0.0, "conv_bias": True, "hidden": [512, 512]}
BND = {"batch_norm": True, "dropout": 0.5, "conv_bias": True, "hidden": [512, 512]}
SLIMMING = {"batch_norm": True, "dropout": 0.0, "conv_bias": False, "hidden": []}

OF_A_TRAINING = {field.name for field in fields(TrainingConfig)}


def subject_of(target: str, in_channels: int = 3, classes: int = 10, **arguments: object) -> Subject:
    """Return a subject with always the same weights; the global random state is left alone."""
    architecture = Architecture(target, {"in_channels": in_channels, "classes": classes, **arguments})
    return seeded(lambda: Subject(architecture.build(), architecture))


def bare(model: nn.Module) -> Subject:
    """Return a subject around a network that no catalogue knows."""
    return Subject(model, Architecture("compressbench.zoo.none"))


def trained_by(technique: type[Made], **fields: object) -> Made:
    """Return a technique, those of the fields that are a training's put together."""
    own = {name: fields.pop(name) for name in OF_A_TRAINING & fields.keys()}
    return technique(training=TrainingConfig(**own), **fields)  # type: ignore[call-arg, arg-type]


def seeded(make: Callable[[], Made]) -> Made:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


class Silent:
    """Progress that nobody sees."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        yield lambda steps=1, note="": None


class StageContext:
    """A context without a runner. `trained`: the trainings that were asked for, in order."""

    def __init__(self, channels: int = 3, side: int = 32, classes: int = 10, seed: int = 0):
        self.generator = torch.Generator().manual_seed(seed)
        self.task = ImageClassification([channels, side, side], classes)
        self.example = self.task.example()
        self.progress = Silent()
        self.trained: list[TrainingConfig] = []
        self.stages: dict[str, Subject] = {}
        made = torch.Generator().manual_seed(1)
        self.images = torch.randn(16, channels, side, side, generator=made)
        self.labels = torch.randint(classes, (16,), generator=made)

    def train(
        self, subject: Subject, training: TrainingConfig, objective: Any = None, hooks: Sequence[Hook] = ()
    ) -> Subject:
        """Plain SGD with momentum on 16 images, constraints enforced after every step."""
        self.trained.append(training)
        model = subject.model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=training.lr, momentum=training.momentum)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # dropout
            for _ in range(max(1, training.epochs)):
                for images, labels in zip(self.images.split(8), self.labels.split(8), strict=True):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(images), labels).backward()
                    for hook in hooks:
                        if hook.after_backward:
                            hook.after_backward(model)
                    optimizer.step()
                    subject.enforce()
        model.eval()
        return subject

    def steps(self, training: TrainingConfig) -> int:
        return 2 * max(1, training.epochs)

    def calibration(self, batch_size: int, batches: int) -> Iterator[tuple[Tensor, Tensor]]:
        for number in range(batches):
            chosen = torch.arange(number * batch_size, (number + 1) * batch_size) % len(self.images)
            yield self.images[chosen], self.labels[chosen]

    def validate(self, subject: Subject) -> dict[str, float]:
        """On the images that it trains on: there are no others here."""
        with torch.no_grad():
            logits = subject.model.eval()(self.images)
        top1 = (logits.argmax(1) == self.labels).float().mean()
        return {"top1": float(top1), "loss": float(nn.functional.cross_entropy(logits, self.labels))}

    def count(self, subject: Subject) -> dict[str, int]:
        return counts_and_size(subject, self.example)

    def subject_of(self, source: Source) -> Subject:
        if source.stage not in self.stages:
            raise ValueError(f"no stage {source.stage!r}; there are: {', '.join(self.stages)}")
        return self.stages[source.stage].clone()
