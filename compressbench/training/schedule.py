"""Learning-rate schedules as pure functions of the step."""

from __future__ import annotations

import math

from compressbench.core.training import TrainingConfig

WARM_UP = 0.3
"""Fraction of the steps in which `one_cycle` rises (the default of torch's OneCycleLR)."""
START_DIVISOR = 25
END_DIVISOR = 10_000
_ROUNDING = 1e-9


def learning_rate(training: TrainingConfig, step: int, total_steps: int, steps_per_epoch: int) -> float:
    """Return the learning rate of optimizer step `step`, counted from 0 over the whole training.

    `steps` and `exponential` change only between epochs, as the papers' code does: a milestone is passed from the
    first epoch that begins at or after it. `one_cycle` (Smith 2018) rises from lr / 25 and falls to lr / 10,000,
    both along a cosine. We differ from torch's OneCycleLR: it falls to lr / 250,000 and cycles the
    momentum too; here the momentum is constant.
    """
    if training.schedule == "steps":
        epoch = step // steps_per_epoch
        epochs = total_steps / steps_per_epoch
        passed = sum(epoch >= milestone * epochs - _ROUNDING for milestone in training.milestones)
        return training.lr * training.gamma**passed
    if training.schedule == "one_cycle":
        return _one_cycle(training.lr, step, total_steps)
    if training.schedule == "cosine":
        return _anneal(training.lr, training.final_lr, step / total_steps)
    if training.schedule == "exponential":
        gone = step // steps_per_epoch * steps_per_epoch / total_steps
        factor: float = (training.final_lr / training.lr) ** gone
        return training.lr * factor
    return training.lr


def _one_cycle(peak: float, step: int, total_steps: int) -> float:
    top, last = max(0.0, WARM_UP * total_steps - 1), total_steps - 1
    if step < top:
        return _anneal(peak / START_DIVISOR, peak, step / top)
    if last <= top:
        return peak
    return _anneal(peak, peak / END_DIVISOR, (step - top) / (last - top))


def _anneal(start: float, end: float, fraction: float) -> float:
    """Return the point of a half cosine from `start` (fraction 0) to `end` (fraction 1)."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * fraction))
