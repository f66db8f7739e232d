"""What a runner lends to a technique, as little of it as a test needs, on made-up data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from compressbench.core.architecture import Architecture
from compressbench.core.context import Advance
from compressbench.core.objective import Hook, Objective
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, Task, feed, scored
from compressbench.core.training import TrainingConfig
from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.running.counting import counts_and_size

Made = TypeVar("Made")

EXAMPLES, BATCH = 16, 8


def image_classification() -> ImageClassification:
    """Return the task of contracts where nothing else is said: ten classes of pictures of 3 x 32 x 32."""
    return ImageClassification([3, 32, 32], 10)


def untrained_network() -> Subject:
    """Return a ResNet-8 of 78,000 parameters, always with the same weights: convolutions, batch norm, shortcuts and a
    linear layer."""
    arguments = {"in_channels": 3, "classes": 10, "depth": 8}
    architecture = Architecture("compressbench.zoo.resnet_cifar.ResNetCifar", arguments)
    return Subject(seeded(architecture.build), architecture)


def seeded(make: Callable[[], Made]) -> Made:
    """Return what `make` makes, always the same; the global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


class Silent:
    """Progress that nobody sees."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        yield lambda steps=1, note="": None


class MadeUpContext:
    """A context without a runner: 16 made-up examples of a task, and plain SGD.

    trained: the trainings that were asked for, in order. stages: what `subject_of` finds, by name; `start` is the
    subject before the first stage.
    """

    def __init__(self, task: Task, seed: int = 0):
        self.generator = torch.Generator().manual_seed(seed)
        self.task, self.example, self.progress = task, task.example(), Silent()
        self.inputs, self.targets = task.random_batch(EXAMPLES, torch.Generator().manual_seed(1))
        self.trained: list[TrainingConfig] = []
        self.stages: dict[str, Subject] = {}

    def train(
        self, subject: Subject, config: TrainingConfig, objective: Objective | None = None, hooks: Sequence[Hook] = ()
    ) -> Subject:
        """Train what can be trained, by the task's own loss whatever the objective is: SGD with momentum, constraints
        enforced after every step."""
        self.trained.append(config)
        if not any(parameter.requires_grad for parameter in subject.model.parameters()):
            return subject
        model, loss = subject.model.train(), next(iter(self.task.losses.values()))
        optimizer = torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # dropout
            for _ in range(max(1, config.epochs)):
                for inputs, targets in self._batches(range(0, EXAMPLES, BATCH), BATCH):
                    optimizer.zero_grad()
                    loss(feed(model, inputs), targets).backward()
                    for hook in hooks:
                        if hook.after_backward:
                            hook.after_backward(model)
                    optimizer.step()
                    for hook in hooks:
                        if hook.after_step:
                            hook.after_step(model)
                    subject.enforce()
        model.eval()
        return subject

    def steps(self, config: TrainingConfig) -> int:
        return EXAMPLES // BATCH * max(1, config.epochs)

    def calibration(self, batch_size: int, batches: int) -> Iterator[tuple[Inputs, Tensor]]:
        return self._batches([number * batch_size for number in range(batches)], batch_size)

    def validate(self, subject: Subject) -> dict[str, float]:
        """Return the task's metrics on the examples that it trains on: there are no others here."""
        with torch.no_grad():
            return scored(self.task, [(feed(subject.model.eval(), self.inputs), self.targets)])

    def count(self, subject: Subject) -> dict[str, int]:
        return counts_and_size(subject, self.example)

    def subject_of(self, source: Source) -> Subject:
        if source.stage not in self.stages:
            raise ValueError(f"no stage {source.stage!r}; there are: {', '.join(self.stages)}")
        return self.stages[source.stage].clone()

    def _batches(self, starts: Sequence[int], size: int) -> Iterator[tuple[Inputs, Tensor]]:
        """Yield so many examples from each start on, round and round."""
        for start in starts:
            chosen = torch.arange(start, start + size) % EXAMPLES
            inputs = self.inputs
            part = tuple(each[chosen] for each in inputs) if isinstance(inputs, tuple) else inputs[chosen]
            yield part, self.targets[chosen]
