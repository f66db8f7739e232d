"""Constraints: promises that every later training must keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn


class Constraint(Protocol):
    """Something that stays true of a model; `enforce` is called after every optimizer step.

    A constraint is a dataclass of strings and tensors only, so that it can be stored without pickle.
    """

    def enforce(self, model: nn.Module) -> None:
        """Make the promise true again, in place."""
        ...

    def holds(self, model: nn.Module) -> bool:
        """Return whether the promise is true now."""
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
        if self.keep.device != weight.device:
            self.keep = self.keep.to(weight.device)
        weight.mul_(self.keep)

    def holds(self, model: nn.Module) -> bool:
        weight = model.get_parameter(self.parameter)
        return not bool(weight[~self.keep.to(weight.device)].any())


CONSTRAINTS: dict[str, type] = {"Mask": Mask}
"""The kinds that can be stored and loaded again, by class name."""
