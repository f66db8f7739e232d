"""What the runner lends to a technique while it computes one stage (`core.context.Context`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from compressbench.core.context import Progress
from compressbench.core.data import Splits
from compressbench.core.objective import Hook, Objective
from compressbench.core.plan import Limits
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, Task, scored
from compressbench.core.trainer import Trainer
from compressbench.core.training import TrainingConfig
from compressbench.running.counting import counts_and_size
from compressbench.running.sources import Elsewhere, Load, subject_of
from compressbench.running.start import seed_of
from compressbench.training.autotuning import Setting
from compressbench.training.epoch import VALIDATION_BATCH, answered
from compressbench.training.loop import length, train


@dataclass
class StageContext:
    """Lent to one stage. Trainings of the stage are numbered, so that each has its own checkpoint and seed.

    earlier_stages: by name, what loads the result of a stage before this one. elsewhere: loads those of other recipes.
    auto: what `precision: auto` stands for in this run. trainer: carries trainings out.
    on_epoch: hears of every entry of the curve as soon as it is there.
    curve, setting: collected from the trainings.
    """

    seed: int
    splits: Splits
    task: Task
    progress: Progress
    limits: Limits
    checkpoints: Path
    auto: Setting
    device: torch.device
    earlier_stages: Mapping[str, Load]
    elsewhere: Elsewhere
    trainer: Trainer = train
    deadline: float | None = None
    on_epoch: Callable[[dict[str, float]], None] = lambda entry: None
    curve: list[dict[str, float]] = field(default_factory=list)
    setting: dict[str, str] = field(default_factory=dict)
    trainings: int = 0

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)
        self.example = self.task.example()

    def train(
        self, subject: Subject, config: TrainingConfig, objective: Objective | None = None, hooks: Sequence[Hook] = ()
    ) -> Subject:
        number, done = self.trainings, len(self.curve)
        self.trainings += 1
        subject.to(self.device)
        trained = self.trainer(
            subject,
            config,
            self.splits.train.to(self.device),
            self.splits.validation.to(self.device),
            task=self.task,
            seed=seed_of(self.seed, number),
            limits=self.limits,
            progress=self.progress,
            objective=objective,
            hooks=hooks,
            checkpoint=self.checkpoints / f"{number}",
            deadline=self.deadline,
            auto=str(self.auto),
            on_epoch=lambda entry: self.on_epoch({**entry, "epoch": done + entry["epoch"]}),
        )
        self.curve += [{**entry, "epoch": done + entry["epoch"]} for entry in trained.curve]
        self.setting = trained.setting
        trained.subject.to(torch.device("cpu"))
        return trained.subject

    def validate(self, subject: Subject) -> dict[str, float]:
        split = self.splits.validation.to(self.device)
        if not len(split):
            raise ValueError("it chooses by validation, but no training examples are held out for that")
        subject.to(self.device)
        with torch.inference_mode():
            found = scored(self.task, answered(subject.model, split, Setting(), self.device, VALIDATION_BATCH))
        subject.to(torch.device("cpu"))
        return found

    def count(self, subject: Subject) -> dict[str, int]:
        return counts_and_size(subject, self.example)

    def steps(self, config: TrainingConfig) -> int:
        epochs, steps = length(config, self.splits.train, self.limits)
        return max(1, epochs * steps)

    def calibration(self, batch_size: int, batches: int) -> Iterator[tuple[Inputs, Tensor]]:
        # A generator of its own: whoever passes over the examples twice sees the same ones, and what is drawn from
        # `self.generator` does not hang on how often that is.
        order = torch.Generator().manual_seed(seed_of(self.seed, "calibration"))
        yield from islice(self.splits.train.batches(batch_size, order, augmented=False), batches)

    def subject_of(self, source: Source) -> Subject:
        return subject_of(source, self.earlier_stages, self.elsewhere)
