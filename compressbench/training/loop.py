"""The training loop. It knows subjects and constraints, and no technique."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

import torch
from torch import nn

from compressbench.core.context import Advance, Progress
from compressbench.core.data import Split
from compressbench.core.errors import RunError
from compressbench.core.identity import digest, essence
from compressbench.core.objective import Hook, Objective
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.task import Loss, Task
from compressbench.core.trainer import OnEpoch, Trained, unheard
from compressbench.core.training import TrainingConfig
from compressbench.training import allocator
from compressbench.training.autotuning import PLAIN, Setting
from compressbench.training.checkpoint import (
    Checkpoint,
    fingerprint,
    optimizer_state,
    read,
    restore_optimizer,
    write,
)
from compressbench.training.curve import is_best, note
from compressbench.training.enforcement import Enforcement
from compressbench.training.epoch import Work, train_epoch, validate
from compressbench.training.loss import loss_of
from compressbench.training.optimizer import make_optimizer
from compressbench.training.scoring import Score, scoring

SECONDS_BETWEEN_CHECKPOINTS = 5.0


def train(
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
    """Do what `core.trainer.Trainer` says, in this process."""
    if config.select == "best" and not len(validation_split):
        raise ValueError("select is 'best', but there are no validation examples to choose by; allowed: 'last'")
    epochs, steps = length(config, train_split, limits)
    learned = objective.learned if objective else None
    if not epochs or not _trainable(subject.model, learned):
        subject.model.eval()
        return Trained(subject, [], {})
    if not len(train_split):
        raise ValueError("there are no training examples")
    loss = loss_of(task, config)
    allocator.keep_memory()
    setting = Setting(*auto.split()) if config.precision == "auto" else Setting(config.precision)
    identity = partial(_identity, subject, learned, config, setting, seed, epochs, steps)
    keeper = _Keeper(checkpoint, identity()) if checkpoint else None
    state, device = (keeper.read() if keeper else None) or Checkpoint(0), _home(subject.model)
    with (
        _arranged(subject.model, setting),
        scoring(objective, loss, subject.model, setting, device) as score,
        progress.task("training", epochs * steps) as advance,
    ):
        how = (config, task, loss, setting, device, state, score, hooks, seed, epochs, steps, limits.steps)
        work = _work(subject, learned, *how)
        _epochs(work, state, train_split, validation_split, advance, keeper, deadline, on_epoch)
        if state.best:
            subject.model.load_state_dict(state.best)
    return Trained(subject, state.curve, setting.described(device))


def length(config: TrainingConfig, split: Split, limits: Limits) -> tuple[int, int]:
    """Return how many epochs a training takes, and how many steps each of them."""
    steps = max(1, len(split) // config.batch_size)
    return limits.cut(config.epochs), steps if limits.steps is None else min(steps, limits.steps)


def _trainable(*models: nn.Module | None) -> list[tuple[str, nn.Parameter]]:
    named = (each for model in models if model is not None for each in model.named_parameters())
    return [(name, parameter) for name, parameter in named if parameter.requires_grad]


def _home(model: nn.Module) -> torch.device:
    return next((tensor.device for tensor in chain(model.parameters(), model.buffers())), torch.device("cpu"))


@contextmanager
def _arranged(model: nn.Module, setting: Setting) -> Iterator[None]:
    """Lay the weights out as the setting has them; afterwards leave the network plain, whatever happened."""
    setting.arrange(model)
    try:
        yield
    finally:
        PLAIN.arrange(model)
        model.zero_grad()
        model.eval()


def _work(
    subject: Subject,
    learned: nn.Module | None,
    config: TrainingConfig,
    task: Task,
    loss: Loss,
    setting: Setting,
    device: torch.device,
    state: Checkpoint,
    score: Score,
    hooks: Sequence[Hook],
    seed: int,
    epochs: int,
    steps: int,
    limit: int | None,
) -> Work:
    """Bring network and optimizer to where `state` left them, and return what every epoch needs."""
    model, beside = subject.model, [parameter for _, parameter in _trainable(learned)]
    optimizer, enforcement = make_optimizer(config, _trainable(model), beside), Enforcement(model, subject.constraints)
    if state.epoch:
        model.load_state_dict(state.model)
        restore_optimizer(optimizer, state.optimizer)
        if learned is not None:
            learned.load_state_dict(state.learned)
    after_backward = [hook.after_backward for hook in hooks if hook.after_backward]
    after_step = [hook.after_step for hook in hooks if hook.after_step]
    acts = (score, after_backward, after_step)
    return Work(
        config, task, loss, model, learned, optimizer, setting, device, enforcement, *acts, seed, epochs, steps, limit
    )


@dataclass
class _Keeper:
    """Keeps checkpoints of one training, but does not write more often than every few seconds."""

    path: Path
    identity: str
    written: float = field(default_factory=time.monotonic)

    def read(self) -> Checkpoint | None:
        return read(self.path, self.identity)

    def keep(self, state: Checkpoint, work: Work, now: bool) -> None:
        if now or time.monotonic() - self.written >= SECONDS_BETWEEN_CHECKPOINTS:
            state.model, state.optimizer = work.model.state_dict(), optimizer_state(work.optimizer)
            state.learned = work.learned.state_dict() if work.learned is not None else {}
            write(self.path, self.identity, state)
            self.written = time.monotonic()


def _epochs(
    work: Work,
    state: Checkpoint,
    train_split: Split,
    validation_split: Split,
    advance: Advance,
    keeper: _Keeper | None,
    deadline: float | None,
    on_epoch: OnEpoch,
) -> None:
    """Train the epochs after `state.epoch`; `state` is brought up to date after each."""
    if state.epoch:
        advance(state.epoch * work.steps_per_epoch)
    for entry in state.curve:
        on_epoch(entry)
    while state.epoch < work.epochs:
        start = time.monotonic()
        try:
            loss, lr = train_epoch(work, train_split, state.epoch, advance, note(state.curve, work.epochs, work.task))
        except RunError as error:
            raise RunError(f"{error}{_kept(keeper)}") from error
        entry = {"epoch": float(state.epoch + 1), "train_loss": loss}
        if len(validation_split):
            entry["validation_loss"], entry[f"validation_{work.task.primary}"] = validate(work, validation_split)
        entry |= {"lr": lr, "seconds": time.monotonic() - start}
        if work.training.select == "best" and is_best(entry, state.curve, work.task):
            state.best = {name: tensor.clone() for name, tensor in work.model.state_dict().items()}
        state.curve.append(entry)
        on_epoch(entry)
        state.epoch += 1
        late = deadline is not None and time.monotonic() > deadline and state.epoch < work.epochs
        if keeper:
            keeper.keep(state, work, now=late or state.epoch == work.epochs)
        if late:
            spent = f"the seconds of the budget are used up after epoch {state.epoch} of {work.epochs}"
            raise RunError(f"{spent}{_kept(keeper)}")


def _kept(keeper: _Keeper | None) -> str:
    kept = keeper is not None and keeper.path.exists()
    return f"; the last good checkpoint is kept: {keeper.path}" if keeper and kept else ""


def _identity(
    subject: Subject,
    learned: nn.Module | None,
    config: TrainingConfig,
    setting: Setting,
    seed: int,
    epochs: int,
    steps: int,
) -> str:
    """Return digits that change with anything that changes the training, the weights it starts from included."""
    weights = [fingerprint(model) for model in (subject.model, learned) if model is not None]
    return digest([essence(config), str(setting), seed, epochs, steps, *weights])
