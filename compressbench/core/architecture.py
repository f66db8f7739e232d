"""Architecture: which class builds a network, with which arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_type_hints

from compressbench.core.dotted import locate
from compressbench.core.errors import suggestion

if TYPE_CHECKING:
    from torch import nn

ALLOWED = "compressbench.zoo."
"""Where our networks lie. Beside what is below this path, only code of a plugin in use is ever called."""


@dataclass(frozen=True)
class Architecture:
    """A network before any training: `target` is a dotted path below `compressbench.zoo`, or in a plugin.

    arguments: keyword arguments of the target, JSON-able; `in_channels` and `classes` among them.
    """

    target: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def build(self) -> nn.Module:
        """Return a freshly initialised network (from torch's global generator). ValueError for a bad argument."""
        builder = self.builder()
        known = inspect.signature(builder).parameters
        for name in self.arguments:
            if name not in known:
                raise ValueError(f"{name!r} is not an argument of {self.target}; {suggestion(name, known)}")
        network: nn.Module = builder(**self.arguments)
        return network

    def builder(self) -> Callable[..., nn.Module]:
        """Return the class or function named by `target`.

        ValueError if it may not be named (`core.dotted.locate`), or builds no network: all of ours that do take
        `in_channels` and `classes`; a plugin's is a subclass of nn.Module, or a function that says it returns one. A
        file may name any target, so what else a module holds must not be called.
        """
        found: Callable[..., nn.Module] = locate(self.target, ALLOWED)
        if self.target.startswith(ALLOWED):
            known = {"in_channels", "classes"} <= inspect.signature(found).parameters.keys()
        else:
            known = _says_network(found)
        if not known:
            what = "a subclass of nn.Module, or a function that says it returns one (`-> nn.Module`)"
            raise ValueError(f"{self.target!r} is no network; allowed: {what}")
        return found


def _says_network(code: Callable[..., object]) -> bool:
    """Return whether code is a class of networks, or a function whose annotation says it returns one."""
    from torch import nn

    try:
        made = code if inspect.isclass(code) else get_type_hints(code).get("return")
    except NameError:  # an annotation that only a type checker can read
        return False
    return inspect.isclass(made) and issubclass(made, nn.Module)
