"""TrainingConfig: how weights are updated, as plain numbers. `compressbench.training` carries it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from fnmatch import fnmatchcase
from math import inf
from typing import Any

from compressbench.core.errors import out_of_range, suggestion

SCHEDULES = ("constant", "steps", "one_cycle", "cosine", "exponential")
OPTIMIZERS = ("sgd", "adam")
PRECISIONS = ("auto", "fp32", "bf16")
SELECTIONS = ("last", "best")
LOOP_VERSION = 2
"""Raised when a change of the training loop, or of what seeds it, changes results; part of the identity of every stage
that trains."""


@dataclass(frozen=True)
class TrainingConfig:
    """One training: optimizer, learning-rate schedule and length.

    epochs: passes over the training split. batch_size: examples a step. lr: the peak learning rate.
    schedule: `constant`; `steps` (lr times `gamma` at each of `milestones`, fractions of all epochs);
        `one_cycle` (Smith 2018: up for 30 % of the steps, down to lr / 10,000); `cosine` (down to `final_lr`);
        `exponential` (times the same factor after every epoch, so that it would be `final_lr` after the last one).
    weight_decay: L2 penalty, added to the gradient. momentum, nesterov: for `sgd`; `adam` uses (0.9, 0.999).
    precision: `fp32`, `bf16` (autocast), or `auto`: by a rule on network and device, always the same one for both
        (`compressbench.training.autotuning`); on a GPU tf32 (products of 19-bit floats).
    select: which weights to return: of the `last` epoch, or of the `best` one on the validation split.
    loss: one of the losses of the dataset's task, None: its own, which is the first. Of classifications these are
        `cross_entropy`; `hinge`, the mean over examples and classes of max(0, 1 - y t), t = 1 for the label's class and
        -1 for the others, or its square (`squared_hinge`, Courbariaux et al. 2015).
    lr_factors: what the learning rate is multiplied by at every step, for the parameters whose names match a glob
        (`{"*.bias": 0.1}`); of several globs the first that matches counts.
    """

    epochs: int
    batch_size: int
    lr: float
    optimizer: str
    schedule: str
    weight_decay: float
    momentum: float = 0.9
    nesterov: bool = False
    milestones: list[float] = field(default_factory=lambda: [0.5, 0.75])
    gamma: float = 0.1
    precision: str = "auto"
    select: str = "last"
    loss: str | None = None
    final_lr: float = 0.0
    lr_factors: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise out_of_range("epochs", self.epochs, "0 or more")
        if self.batch_size < 1:
            raise out_of_range("batch_size", self.batch_size, "1 or more")
        if not 0 < self.lr < inf:
            raise out_of_range("lr", self.lr, "more than 0")
        if not 0 <= self.final_lr <= self.lr:
            raise out_of_range("final_lr", self.final_lr, f"0 to lr, which is {self.lr:g}")
        if self.schedule == "exponential" and self.final_lr == 0:
            raise ValueError("schedule is 'exponential', but final_lr is 0; allowed: more than 0")
        if not 0 <= self.weight_decay < inf:
            raise out_of_range("weight_decay", self.weight_decay, "0 or more")
        if not 0 <= self.momentum < 1:
            raise out_of_range("momentum", self.momentum, "0 or more and less than 1")
        if not 0 < self.gamma <= 1:
            raise out_of_range("gamma", self.gamma, "more than 0 and at most 1")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov is True, but momentum is 0; allowed: a momentum of more than 0, or nesterov off")
        if any(not 0 < milestone < 1 for milestone in self.milestones):
            raise out_of_range("milestones", self.milestones, "fractions of all epochs, between 0 and 1")
        for pattern, factor in self.lr_factors.items():
            if not 0 <= factor < inf:
                raise out_of_range(f"lr_factors.{pattern}", factor, "0 or more")
        for key, allowed in (
            ("schedule", SCHEDULES),
            ("optimizer", OPTIMIZERS),
            ("precision", PRECISIONS),
            ("select", SELECTIONS),
        ):
            value = getattr(self, key)
            if value not in allowed:
                raise ValueError(f"{key} is {value!r}; {suggestion(value, allowed)}")

    def factors(self, parameters: Iterable[str]) -> dict[str, float]:
        """Return the factor of the learning rate of each parameter, by name; 1 unless `lr_factors` says otherwise.

        ValueError for a glob that matches none of them.
        """
        names = list(parameters)
        for pattern in self.lr_factors:
            if not any(fnmatchcase(name, pattern) for name in names):
                near = suggestion(pattern, names)
                raise ValueError(f"lr_factors has {pattern!r}, which matches no parameter; {near}")
        return {name: self._factor(name) for name in names}

    def _factor(self, parameter: str) -> float:
        return next((factor for glob, factor in self.lr_factors.items() if fnmatchcase(parameter, glob)), 1.0)


def trainings_in(value: Any) -> Iterator[TrainingConfig]:
    """Yield every training that a technique carries out: itself, and those in its fields."""
    if isinstance(value, TrainingConfig):
        yield value
    if is_dataclass(value):
        for own in fields(value):
            yield from trainings_in(getattr(value, own.name))
