"""Trainer: what carries a training out, handed to a run as progress is: this process, or many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from compressbench.core.context import Progress
    from compressbench.core.data import Split
    from compressbench.core.objective import Hook, Objective
    from compressbench.core.plan import Limits
    from compressbench.core.subject import Subject
    from compressbench.core.task import Task
    from compressbench.core.training import TrainingConfig

Curve = list[dict[str, float]]
"""One entry an epoch: epoch, train_loss, validation_loss, `validation_` and the name of the task's primary metric, lr,
seconds."""
OnEpoch = Callable[[dict[str, float]], None]


def unheard(entry: dict[str, float]) -> None:
    """Hear of an epoch, and do nothing."""


@dataclass
class Trained:
    """setting: how it was computed (precision, layout, device, threads)."""

    subject: Subject
    curve: Curve
    setting: dict[str, str]


class Trainer(Protocol):
    """Trains a subject; `compressbench.training.loop.train` does so in this process."""

    def __call__(
        self,
        subject: Subject,
        config: TrainingConfig,
        train_split: Split,
        validation_split: Split,
        *,
        task: Task,
        seed: int,
        limits: Limits,
        progress: Progress,
        objective: Objective | None = None,
        hooks: Sequence[Hook] = (),
        checkpoint: Path | None = None,
        deadline: float | None = None,
        auto: str = "",
        on_epoch: OnEpoch = unheard,
    ) -> Trained:
        """Return `subject`, trained in place where it lies, in evaluation mode, fp32 and contiguous.

        task: what the splits are for; it says the loss and the metric by which epochs are chosen.
        limits: cut the epochs and the steps of an epoch; the schedule shrinks with them. (`limits.examples` is
        for whoever makes the splits.) objective: what is minimised; None: the loss that `config` names. hooks: act
        within every step. checkpoint: a file to go on from; on a CPU, with as many threads, the result is
        bit-identical to an undisturbed training. deadline: `time.monotonic()` at which the budget is used up.
        auto: what `precision: auto` stands for ("fp32 contiguous"); empty: that. on_epoch: hears of every entry of
        the curve, those of the checkpoint first.

        Raises RunError for a loss that is no number, a full disk, or a deadline that has passed (after an epoch, so
        that every start gets further); ValueError without training examples, if the best epoch is asked for and there
        are no validation examples, for a loss that the task does not have, for a mask that does not fit, and for names
        that the network does not have. Then the
        subject is half trained, but in evaluation mode, fp32 and contiguous too.
        """
        ...
