"""The real training loop behind a technique's context, with checkpoints, on made-up images of 8x8 pixels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compressbench.core.objective import Hook
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.data.synthetic import Synthetic
from compressbench.training.loop import length, train
from tests.techniques.lending import Silent, StageContext

FIELDS = {
    "epochs": 4,
    "batch_size": 32,
    "lr": 0.05,
    "optimizer": "sgd",
    "schedule": "constant",
    "weight_decay": 5e-4,
    "precision": "fp32",
}
"""10 steps an epoch."""


class RealContext(StageContext):
    """checkpoint: a file to go on from, for the first training. late: the budget is used up after its first epoch."""

    def __init__(self, checkpoint: Path | None = None, late: bool = False):
        super().__init__(channels=1, side=8)
        self.splits = Synthetic("synthetic", [1, 8, 8], 10, 360, 100).load()
        self.checkpoint, self.late = checkpoint, late

    def train(
        self, subject: Subject, training: TrainingConfig, objective: Any = None, hooks: Sequence[Hook] = ()
    ) -> Subject:
        self.trained.append(training)
        trained = train(
            subject,
            training,
            self.splits.train,
            self.splits.validation,
            task=self.task,
            seed=len(self.trained),
            limits=Limits(),
            progress=Silent(),
            objective=objective,
            hooks=hooks,
            checkpoint=self.checkpoint,
            deadline=time.monotonic() if self.late else None,
        )
        return trained.subject

    def steps(self, training: TrainingConfig) -> int:
        epochs, steps = length(training, self.splits.train, Limits())
        return epochs * steps
