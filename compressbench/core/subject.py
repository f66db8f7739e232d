"""Subject: what is being compressed."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.constraint import Constraint
from compressbench.core.format import Coding, Dense, Format


@dataclass(frozen=True)
class Skipped:
    """A part of the network a technique left out, and why. It appears in the record and in the report."""

    what: str
    why: str


@dataclass
class Subject:
    """A plain network, how its tensors are stored, the promises training must keep, and what was left out.

    architecture: how the network was built before any technique changed it; `packing` stores it together
        with every module whose shape or type differs from a fresh one.
    formats: by name in `model.state_dict()`; what is not named is `Dense`. coding: how their integers are coded.
    """

    model: nn.Module
    architecture: Architecture
    formats: dict[str, Format] = field(default_factory=dict)
    constraints: list[Constraint] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    coding: Coding = field(default_factory=Coding)

    def format_of(self, name: str) -> Format:
        """Return how the tensor called `name` is stored."""
        return self.formats.get(name, Dense())

    def enforce(self) -> None:
        """Make every promise true again."""
        for constraint in self.constraints:
            constraint.enforce(self.model)

    def broken(self) -> list[Constraint]:
        """Return the promises that are not true now."""
        return [constraint for constraint in self.constraints if not constraint.holds(self.model)]

    def to(self, device: torch.device) -> None:
        """Move the network and the tensors of its promises."""
        self.model.to(device)
        for constraint in self.constraints:
            for name, value in vars(constraint).items():
                if isinstance(value, torch.Tensor):
                    setattr(constraint, name, value.to(device))

    def clone(self) -> Subject:
        """Return a deep copy that shares no tensor with this one."""
        return copy.deepcopy(self)
