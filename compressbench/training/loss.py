"""The loss a training minimises."""

from __future__ import annotations

from compressbench.core.errors import suggestion
from compressbench.core.task import Loss, Task
from compressbench.core.training import TrainingConfig


def loss_of(task: Task, config: TrainingConfig) -> Loss:
    """Return what a training minimises. ValueError, naming those there are, for a loss that the task does not have."""
    if config.loss is None:
        return next(iter(task.losses.values()))
    if config.loss not in task.losses:
        raise ValueError(f"loss is {config.loss!r}; {suggestion(config.loss, task.losses)} for {task.name}")
    return task.losses[config.loss]
