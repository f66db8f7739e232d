"""Leaf modules as JSON: how a file says that a layer is not what the architecture builds."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

STORABLE: dict[str, type[nn.Module]] = {
    kind.__name__: kind
    for kind in (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)
}
"""The types a file may name; nothing else is ever built from one."""


def describe(module: nn.Module) -> dict[str, Any] | None:
    """Return a module's type and arguments, or None if it is of a type that files cannot name."""
    kind = type(module).__name__
    if STORABLE.get(kind) is not type(module):
        return None
    arguments = {}
    for name, parameter in inspect.signature(type(module)).parameters.items():
        if name in ("device", "dtype"):
            continue
        value = module.bias is not None if name == "bias" else getattr(module, name)
        if value != parameter.default:  # an argument a later torch adds stays unsaid as long as nobody uses it
            arguments[name] = list(value) if isinstance(value, tuple) else value
    return {"type": kind, "arguments": arguments}


def make_module(description: dict[str, Any]) -> nn.Module:
    """Return a module on the meta device. ValueError if its type is not storable."""
    kind = STORABLE.get(description["type"])
    if kind is None:
        raise ValueError(f"the module type {description['type']!r} cannot be stored in a file")
    arguments = {
        name: tuple(value) if isinstance(value, list) else value for name, value in description["arguments"].items()
    }
    return kind(**arguments, device="meta")


def changed_modules(model: nn.Module, fresh: nn.Module) -> dict[str, dict[str, Any]]:
    """Return the descriptions, by name, of the leaf modules in which `model` differs from `fresh`.

    Raises ValueError if they differ in something that a file cannot say.
    """
    original = {name: module for name, module in fresh.named_modules() if not list(module.children())}
    changed = {}
    for name, module in model.named_modules():
        if list(module.children()):
            continue
        description, before = describe(module), original.pop(name, None)
        if description is None:
            if type(before) is not type(module):
                raise ValueError(f"{name} is a {type(module).__name__}, which a model file cannot store")
        elif before is None or describe(before) != description:
            changed[name] = description
    if original:
        raise ValueError(f"{', '.join(original)} of the architecture is missing from the network")
    return changed
