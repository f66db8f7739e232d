"""Subject: what is being compressed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.constraint import Constraint, Mask
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

    def store(self, name: str, form: Format) -> None:
        """Have the tensor of this name stored in a format."""
        self.formats[name] = form

    def mask(self, parameter: str) -> torch.Tensor | None:
        """Return where the weights of a parameter may be other than zero (boolean, of its shape, where it lies), as its
        mask says; None if it has none."""
        for constraint in self.constraints:
            if isinstance(constraint, Mask) and constraint.parameter == parameter:
                return constraint.keep.to(self.model.get_parameter(parameter).device)
        return None

    def constrain(self, constraint: Constraint) -> None:
        """Make a promise, in the place of an earlier one of its kind about the same parameter; `enforce` keeps."""
        about = _parameter_of(constraint)
        self.constraints = [
            kept
            for kept in self.constraints
            if type(kept) is not type(constraint) or about is None or _parameter_of(kept) != about
        ]
        self.constraints.append(constraint)

    @contextmanager
    def constrained(self, constraints: Iterable[Constraint]) -> Iterator[None]:
        """Make promises that are kept until it ends, beside all others."""
        mine = list(constraints)
        self.constraints += mine
        try:
            yield
        finally:
            own = set(map(id, mine))
            self.constraints = [kept for kept in self.constraints if id(kept) not in own]

    def release(self, name: str, but: tuple[type, ...] = ()) -> None:
        """Drop the promises about a parameter, and its format; those of the kinds in `but` stay."""
        if not isinstance(self.format_of(name), but):
            self.formats.pop(name, None)
        self.constraints = [kept for kept in self.constraints if _parameter_of(kept) != name or isinstance(kept, but)]

    def rename(self, names: Mapping[str, str]) -> None:
        """Have the promises about parameters follow them to new names; formats stay with the old ones."""
        for constraint in self.constraints:
            if (new := names.get(_parameter_of(constraint) or "")) is not None:
                constraint.parameter = new  # type: ignore[attr-defined]

    def replace_module(self, name: str, module: nn.Module) -> None:
        """Put a module in the place of the one of this name. Promises and formats stay with the very tensors that both
        have; those of the others are released."""
        old = self.model.get_submodule(name)
        before, after = _tensors(old), _tensors(module)
        self.model.set_submodule(name, module)
        for tensor in [tensor for tensor in before if after.get(tensor) is not before[tensor]]:
            self.release(f"{name}.{tensor}")

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


def _parameter_of(constraint: Constraint) -> str | None:
    """Return the name of the parameter that a promise is about, None for one about something else."""
    found: str | None = getattr(constraint, "parameter", None)
    return found


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}
