"""One epoch of training, and validation. Nothing in here waits for the device between steps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from compressbench.core.context import Advance
from compressbench.core.data import Split
from compressbench.core.errors import RunError
from compressbench.core.identity import digest
from compressbench.core.objective import Act
from compressbench.core.task import Loss, Task, feed, scored
from compressbench.core.training import TrainingConfig
from compressbench.training.autotuning import Setting
from compressbench.training.enforcement import Enforcement
from compressbench.training.optimizer import plain_step, set_learning_rate
from compressbench.training.schedule import learning_rate
from compressbench.training.scoring import Score

SECONDS_BETWEEN_REPORTS = 0.2
STEPS_BETWEEN_CHECKS = 50
"""How often a loss that is no number is looked for inside an epoch."""
VALIDATION_BATCH = 128


@dataclass
class Work:
    """What every epoch needs. limit: at most so many batches an epoch, also of validation; None: all.

    learned: what is trained beside the network. score: the loss of a batch. loss: what validation is scored by beside
    the task's primary metric. after_backward, after_step: what hooks do.
    """

    training: TrainingConfig
    task: Task
    loss: Loss
    model: nn.Module
    learned: nn.Module | None
    optimizer: torch.optim.Optimizer
    setting: Setting
    device: torch.device
    enforcement: Enforcement
    score: Score
    after_backward: Sequence[Act]
    after_step: Sequence[Act]
    seed: int
    epochs: int
    steps_per_epoch: int
    limit: int | None


def train_epoch(work: Work, split: Split, epoch: int, advance: Advance, note: str) -> tuple[float, float]:
    """Train for one epoch, counted from 0; return the mean loss and the last learning rate.

    All randomness comes from the seed and the epoch's number; torch's own state is put back afterwards.
    RunError if the loss is no number.
    """
    with torch.random.fork_rng(devices=[work.device] if work.device.type == "cuda" else []):
        torch.manual_seed(_seed(work.seed, epoch, "network"))
        generator = torch.Generator().manual_seed(_seed(work.seed, epoch, "data"))
        work.model.train()
        return _steps(work, split, epoch, generator, advance, note)


def _steps(
    work: Work, split: Split, epoch: int, generator: torch.Generator, advance: Advance, note: str
) -> tuple[float, float]:
    model, optimizer, setting, device = work.model, work.optimizer, work.setting, work.device
    total_steps, first = work.epochs * work.steps_per_epoch, epoch * work.steps_per_epoch
    lr, step, score = work.training.lr, plain_step(optimizer), work.score
    total = torch.zeros((), device=device)
    done = reported = 0
    report_at = time.monotonic() + SECONDS_BETWEEN_REPORTS
    for inputs, targets in islice(split.batches(work.training.batch_size, generator), work.steps_per_epoch):
        lr = learning_rate(work.training, first + done, total_steps, work.steps_per_epoch)
        set_learning_rate(optimizer, lr)
        inputs = setting.place(inputs, device)
        with setting.autocast(device):
            outputs = feed(model, inputs)
        loss = score(inputs, outputs, targets.to(device), (first + done) / total_steps)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        for act in work.after_backward:
            act(model)
        step()
        for act in work.after_step:
            act(model)
        work.enforcement.enforce()
        total += loss.detach()
        done += 1
        if done % STEPS_BETWEEN_CHECKS == 0:
            _check(float(total), epoch, lr)
        if time.monotonic() > report_at:
            advance(done - reported, note)
            reported, report_at = done, time.monotonic() + SECONDS_BETWEEN_REPORTS
    advance(done - reported, note)
    mean = float(total) / max(1, done)
    _check(mean, epoch, lr)
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise RunError(f"{name} is not finite after epoch {epoch + 1}, at a learning rate of {lr:.3g}")
    return mean, lr


@torch.inference_mode()
def validate(work: Work, split: Split) -> tuple[float, float]:
    """Return the mean loss and the task's primary metric. The split is not empty."""
    loss = torch.zeros((), device=work.device)
    count, batch_size = 0, max(work.training.batch_size, VALIDATION_BATCH)

    def seen() -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal loss, count
        for outputs, targets in answered(work.model, split, work.setting, work.device, batch_size, work.limit):
            loss += work.loss(outputs.float(), targets) * len(targets)
            count += len(targets)
            yield outputs, targets

    primary = scored(work.task, seen(), brief=True)[work.task.primary]
    return float(loss) / count, primary


def answered(
    model: nn.Module,
    split: Split,
    setting: Setting,
    device: torch.device,
    batch_size: int,
    limit: int | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield outputs and targets of a split, in evaluation mode. limit: at most so many batches."""
    model.eval()
    for inputs, targets in islice(split.batches(batch_size), limit):
        with setting.autocast(device):
            outputs = feed(model, setting.place(inputs, device))
        yield outputs, targets.to(device)


def _check(loss: float, epoch: int, lr: float) -> None:
    if not math.isfinite(loss):
        raise RunError(f"the training loss is {loss} in epoch {epoch + 1}, at a learning rate of {lr:.3g}")


def _seed(seed: int, epoch: int, use: str) -> int:
    return int(digest([seed, epoch, use], 15), 16)
