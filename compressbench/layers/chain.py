"""Several layers in the place of one: one after the other, or side by side and added up.

The parts are layers of any kind, these two among them. Later stages prune, quantize and replace them as they do any
layer: a part is a module under its own name (`conv1.reduce`), and a packed file describes it by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

MOST_PARTS = 64
"""Parts that one of them may have; the longest factorization has a tenth."""


class Chain(nn.Module):
    """Gives what it takes to the first part, what that makes to the second, and so on.

    parts: modules by name, in order. Names alone, which is what a file says, stand for parts that do nothing until
    others are put in their place. ValueError for none, too many, or a name that no module can have.
    """

    def __init__(self, parts: Mapping[str, nn.Module] | Sequence[str]):
        super().__init__()
        _hold(self, parts)

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self._modules)

    def forward(self, input: Any) -> Any:
        for part in _parts_of(self):
            input = part(input)
        return input


class Sum(nn.Module):
    """Gives what it takes to every part, and adds up what they make: tensors of one shape. `parts` as in `Chain`."""

    def __init__(self, parts: Mapping[str, nn.Module] | Sequence[str]):
        super().__init__()
        _hold(self, parts)

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self._modules)

    def forward(self, input: Any) -> Tensor:
        first, *others = _parts_of(self)
        total: Tensor = first(input)
        for part in others:
            total = total + part(input)
        return total


def _hold(container: nn.Module, parts: Mapping[str, nn.Module] | Sequence[str]) -> None:
    if not 1 <= len(parts) <= MOST_PARTS:
        raise ValueError(f"a {type(container).__name__} has {len(parts)} parts; allowed: 1 to {MOST_PARTS}")
    named = parts if isinstance(parts, Mapping) else {name: nn.Identity() for name in parts}
    if len(named) != len(parts):
        raise ValueError(f"two parts of a {type(container).__name__} have the same name: {list(parts)}")
    for name, part in named.items():
        if not isinstance(name, str) or not name.isidentifier() or hasattr(container, name):
            raise ValueError(f"no part of a {type(container).__name__} can be called {name!r}")
        container.add_module(name, part)


def _parts_of(container: nn.Module) -> list[nn.Module]:
    """Return its parts; `children` would leave out one that is there twice."""
    return [part for part in container._modules.values() if part is not None]
