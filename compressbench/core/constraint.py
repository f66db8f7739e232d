"""Constraints: promises that every later training must keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn


class Constraint(Protocol):
    """Something that stays true of a model; `enforce` is called after every optimizer step.

    A constraint is a dataclass of strings and tensors only, so that it can be stored without pickle. Its `str` names
    its kind, the parameter and what is promised.
    """

    def enforce(self, model: nn.Module) -> None:
        """Make the promise true again, in place; its tensors lie where the network does (`Subject.to`)."""
        ...

    def holds(self, model: nn.Module) -> bool:
        """Return whether the promise is true now; it is not of a parameter that is gone or has another shape."""
        ...


@dataclass(eq=False)
class Mask:
    """Weights outside `keep` are zero. `parameter` is the name in `model.named_parameters()`.

    keep: boolean tensor of the parameter's shape, True where the weight survives.
    """

    parameter: str
    keep: torch.Tensor

    @torch.no_grad()
    def enforce(self, model: nn.Module) -> None:
        weight = model.get_parameter(self.parameter)
        weight.mul_(self.keep)

    def holds(self, model: nn.Module) -> bool:
        weight = _parameter(model, self.parameter, self.keep)
        return weight is not None and not bool(weight[~self.keep.to(weight.device)].any())

    def __str__(self) -> str:
        return f"Mask of {self.parameter} ({int((~self.keep).sum()):,} of {self.keep.numel():,} elements are zero)"


@dataclass(eq=False)
class Frozen:
    """Weights in `where` keep their `value`: neither gradient, momentum nor weight decay moves them.

    where: boolean tensor of the parameter's shape. value: tensor of that shape; only what lies in `where` counts.
    """

    parameter: str
    where: torch.Tensor
    value: torch.Tensor

    @torch.no_grad()
    def enforce(self, model: nn.Module) -> None:
        weight = model.get_parameter(self.parameter)
        weight.copy_(torch.where(self.where, self.value, weight))

    def holds(self, model: nn.Module) -> bool:
        weight = _parameter(model, self.parameter, self.where)
        if weight is None:
            return False
        where = self.where.to(weight.device)
        return torch.equal(weight[where], self.value.to(weight.device)[where])

    def __str__(self) -> str:
        return f"Frozen of {self.parameter} ({int(self.where.sum()):,} of {self.where.numel():,} elements never move)"


@dataclass(eq=False)
class Shared:
    """Weights with the same number in `assignment` have the same value; weights with a negative number are free.

    assignment: integer tensor of the parameter's shape. `enforce` gives every group its mean.
    """

    parameter: str
    assignment: torch.Tensor

    @torch.no_grad()
    def enforce(self, model: nn.Module) -> None:
        weight = model.get_parameter(self.parameter)
        shared, groups = self._groups()
        weight[shared] = _common_values(weight[shared], groups)[groups]

    def holds(self, model: nn.Module) -> bool:
        weight = _parameter(model, self.parameter, self.assignment)
        if weight is None:
            return False
        shared, groups = self._groups()
        values = weight.cpu()[shared.cpu()]
        groups = groups.cpu()
        return torch.equal(values, _common_values(values, groups)[groups])

    def __str__(self) -> str:
        shared, groups = self._groups()
        return f"Shared of {self.parameter} ({int(shared.sum()):,} elements have {len(groups.unique()):,} values)"

    def _groups(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return where the shared weights are, and the group of each."""
        shared = self.assignment >= 0
        return shared, self.assignment[shared].long()


def _parameter(model: nn.Module, name: str, like: torch.Tensor) -> torch.Tensor | None:
    """Return the parameter, None if there is none of that name and shape."""
    found = dict(model.named_parameters(remove_duplicate=False)).get(name)
    return found.detach() if found is not None and found.shape == like.shape else None


def _common_values(values: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """Return each group's value if its members agree, to the bit, and their mean if they do not."""
    any_member = values.new_zeros(int(groups.max()) + 1 if len(groups) else 0)
    any_member[groups] = values
    agree = any_member[groups] == values
    if agree.all():  # as they do while centroids are trained: much cheaper than the means
        return any_member
    means = torch.zeros_like(any_member).scatter_reduce(0, groups, values, "mean", include_self=False)
    means[groups] = torch.where(_all_of(groups, agree), values, means[groups])
    return means


def _all_of(groups: torch.Tensor, agree: torch.Tensor) -> torch.Tensor:
    """Return for each member whether all of its group agree."""
    dissent = torch.zeros(int(groups.max()) + 1, dtype=torch.bool, device=groups.device)
    dissent[groups[~agree]] = True
    return ~dissent[groups]


CONSTRAINTS: dict[str, type] = {kind.__name__: kind for kind in (Mask, Frozen, Shared)}
"""The kinds that can be stored and loaded again, by class name."""
