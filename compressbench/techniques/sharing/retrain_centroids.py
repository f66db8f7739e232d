"""Training of shared values, as Deep Compression does it (Han et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from compressbench.core.constraint import Shared
from compressbench.core.context import Context
from compressbench.core.errors import suggestion
from compressbench.core.objective import Hook
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.sharing._precision import PRECISIONS, rounded


@dataclass(frozen=True)
class RetrainCentroids(Technique):
    """Train the values that weights share; which weights share which value stays.

    Source: Han et al. 2016, "Deep Compression", section 3.3.

    A shared value moves by the sum of its weights' gradients. `training/finetune` keeps weights shared too, but by
    giving a group its mean after each step, which moves it by the mean of the gradients: as many times less as the
    group has weights. So learning rates here are much smaller (or the optimizer is `adam`, which does not care).

    others: whether parameters that are not shared (biases, batch norm) are trained too; the running statistics of
    batch norm follow in any case. centroid_precision: `fp16` rounds the shared values to half precision at the end.
    """

    training: TrainingConfig
    others: bool
    centroid_precision: str

    needs = frozenset({"shared"})
    adds = frozenset({"retrained"})
    refuses = frozenset({"int8"})

    def __post_init__(self) -> None:
        if self.centroid_precision not in PRECISIONS:
            what = f"centroid_precision is {self.centroid_precision!r}"
            raise ValueError(f"{what}; {suggestion(self.centroid_precision, PRECISIONS)}")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError if no weights are shared."""
        shared = _shared(subject)
        if not shared:
            raise ValueError("the network has no shared weights; share them first (sharing/kmeans)")
        with _only({constraint.parameter for constraint in shared}, subject.model, self.others):
            subject = context.train(subject, self.training, hooks=[summing(shared)])
        for constraint in _shared(subject):
            _round(subject.model.get_parameter(constraint.parameter), constraint, self.centroid_precision)
        return subject


def summing(shared: Sequence[Shared]) -> Hook:
    """Return a hook that gives each weight of a group the sum of the group's gradients."""
    places = {}
    for constraint in shared:
        where = (constraint.assignment >= 0).nonzero(as_tuple=True)
        groups = constraint.assignment[where].long()
        if len(groups):
            places[constraint.parameter] = (where, groups, int(groups.max()) + 1)

    def sum_gradients(model: nn.Module) -> None:
        for name, (where, groups, count) in places.items():
            gradient = model.get_parameter(name).grad
            if gradient is None:
                continue
            if groups.device != gradient.device:
                where, groups = tuple(axis.to(gradient.device) for axis in where), groups.to(gradient.device)
                places[name] = (where, groups, count)
            sums = gradient.new_zeros(count).index_add_(0, groups, gradient[where])
            gradient[where] = sums[groups]

    return Hook(after_backward=sum_gradients)


def _shared(subject: Subject) -> list[Shared]:
    return [constraint for constraint in subject.constraints if isinstance(constraint, Shared)]


@contextmanager
def _only(names: set[str], model: nn.Module, others: bool) -> Iterator[None]:
    """Leave the parameters that are not named out of the training, unless others are trained too."""
    named = [] if others else [parameter for name, parameter in model.named_parameters() if name not in names]
    left_out = [parameter for parameter in named if parameter.requires_grad]
    for parameter in left_out:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in left_out:
            parameter.requires_grad_(True)


@torch.no_grad()
def _round(weight: nn.Parameter, constraint: Shared, precision: str) -> None:
    shared = constraint.assignment.to(weight.device) >= 0
    weight[shared] = rounded(weight[shared], precision)
