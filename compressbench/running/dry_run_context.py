"""What a technique is lent while nothing is computed yet (`core.context.Context`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compressbench.core.objective import Hook, Objective
from compressbench.core.plan import Limits
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, Loss, Task, feed
from compressbench.core.training import TrainingConfig
from compressbench.running.counting import counts_and_size
from compressbench.running.environment import CPU
from compressbench.running.progress import SilentProgress
from compressbench.running.sources import Elsewhere, Load, subject_of
from compressbench.training.autotuning import PLAIN
from compressbench.training.loss import loss_of
from compressbench.training.scoring import scoring

MADE_UP = 0.5
"""What validation is said to give before anything is trained."""


@dataclass
class DryRunContext:
    """Lends everything a technique may ask for, but trains nothing: trainings are counted in epochs.

    held_out: whether training examples are held out for validation. elsewhere: gives what other recipes' stages make.
    """

    task: Task
    earlier_stages: Mapping[str, Load]
    limits: Limits
    held_out: bool
    elsewhere: Elsewhere
    epochs: int = 0

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.example = self.task.example()
        self.progress = SilentProgress()

    def train(
        self, subject: Subject, config: TrainingConfig, objective: Objective | None = None, hooks: Sequence[Hook] = ()
    ) -> Subject:
        config.factors(name for name, parameter in subject.model.named_parameters() if parameter.requires_grad)
        loss = loss_of(self.task, config)
        if objective is not None:
            self._try_out(objective, subject.model, loss)
        epochs = self.limits.cut(config.epochs)
        if epochs:
            move_from_zero(subject.model)
            subject.enforce()
        self.epochs += epochs
        return subject

    def _try_out(self, objective: Objective, model: nn.Module, loss: Loss) -> None:
        """Score two made-up examples. ValueError if that fails, as where a teacher has other classes."""
        ((inputs, targets),) = self.calibration(2, 1)
        model.eval()
        scored = scoring(objective, loss, model, PLAIN, CPU)
        with torch.no_grad(), torch.random.fork_rng(devices=[]), scored as score:
            try:
                score(inputs, feed(model, inputs), targets, 0.0)
            except (RuntimeError, KeyError, AttributeError, TypeError) as error:
                raise ValueError(f"its objective cannot be computed: {str(error).splitlines()[0]}") from error

    def validate(self, subject: Subject) -> dict[str, float]:
        if not self.held_out:
            raise ValueError(
                "it chooses by validation, but no training examples are held out for that; allowed: a dataset that "
                "holds some out, with training.hold_out=true"
            )
        return {spec.name: MADE_UP for spec in self.task.specs}

    def count(self, subject: Subject) -> dict[str, int]:
        return counts_and_size(subject, self.example)

    def steps(self, config: TrainingConfig) -> int:
        return max(1, self.limits.cut(config.epochs))

    def calibration(self, batch_size: int, batches: int) -> Iterator[tuple[Inputs, Tensor]]:
        few = min(batch_size, 2)  # shapes are all that counts, and large inputs take long
        return iter([self.task.random_batch(few, torch.Generator().manual_seed(0))])

    def subject_of(self, source: Source) -> Subject:
        return subject_of(source, self.earlier_stages, self.elsewhere)


@torch.no_grad()
def move_from_zero(model: nn.Module) -> None:
    """Let no parameter that is trained be zero any more, in place, as after a training."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        zero = parameter == 0
        if parameter.requires_grad and bool(zero.any()):
            parameter[zero] = 0.01 + 0.01 * torch.rand(int(zero.sum()), generator=generator)
