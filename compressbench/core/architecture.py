"""Architecture: which class builds a network, with which arguments."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compressbench.core.errors import suggestion

if TYPE_CHECKING:
    from torch import nn

ALLOWED = "compressbench.zoo."
"""Only what lies below this dotted path is ever called, so a file cannot name code of its own."""

_PUBLIC = re.compile(re.escape(ALLOWED) + r"([a-z]\w*\.)+[A-Za-z]\w*", re.ASCII)


@dataclass(frozen=True)
class Architecture:
    """A network before any training: `target` is a dotted path below `compressbench.zoo`.

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

        ValueError if it is not defined in the zoo, in the very module that is named, or builds no network: all that do
        take `in_channels` and `classes`. A file may name any target, so what else a module holds must not be called.
        """
        if not _PUBLIC.fullmatch(self.target):
            raise ValueError(f"the network {self.target!r} is not below {ALLOWED}")
        module, _, name = self.target.rpartition(".")
        try:
            found: Callable[..., nn.Module] = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"the network {self.target!r} does not exist") from error
        own = callable(found) and getattr(found, "__module__", None) == module
        if not own or not {"in_channels", "classes"} <= inspect.signature(found).parameters.keys():
            raise ValueError(f"{self.target!r} is no network of the zoo")
        return found
