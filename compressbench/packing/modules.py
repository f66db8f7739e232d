"""Networks as JSON: what the architecture builds, and every layer that a technique has put in the place of another."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook

from compressbench import layers
from compressbench.core.architecture import Architecture
from compressbench.core.dotted import dotted_path, locate
from compressbench.core.plugins import plugin_of
from compressbench.layers.attention import HeadAttention
from compressbench.layers.chain import Chain, Sum
from compressbench.layers.tensor_train import TensorTrainLinear
from compressbench.packing.resizing import RESIZED, resize, resized

OF_TORCH = (
    *(nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm),
    *(nn.Identity, nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Dropout, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d),
)
UNSAID = ("device", "dtype", "min_value", "max_value")
"""Arguments that files do not hold: where a module lies, and Hardtanh's old names for `min_val` and `max_val`."""
NO_SETTINGS = ("training", "use_nested_tensor")
"""Attributes of modules that change nothing of what they compute; the latter is how torch leaves out padding."""
PLAIN = (bool, int, float, str, type(None))
"""What an argument may be, or a list of."""
MOST_MODULES = 5_000
"""Modules a file may ask for; the deepest network of the catalogue has a tenth, and each takes time to build."""


def _own_layers() -> Iterator[type[nn.Module]]:
    """Yield every module class that is defined in `compressbench/layers/`."""
    for found in pkgutil.iter_modules(layers.__path__):
        module = importlib.import_module(f"{layers.__name__}.{found.name}")
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, nn.Module) and kind.__module__ == module.__name__:
                yield kind


STORABLE: dict[str, type[nn.Module]] = {kind.__name__: kind for kind in (*OF_TORCH, *_own_layers())}
"""The types a file may name; nothing else is ever built from one."""
IN_PARTS = (Chain, Sum, HeadAttention, TensorTrainLinear)
"""Those whose parts are described by themselves."""


def fresh_network(architecture: Architecture) -> nn.Module:
    """Return the network as `Architecture.lay_out` does.

    ValueError if it has more than MOST_MODULES modules; whatever the network itself raises for its arguments.
    """
    with _few_modules():
        return architecture.lay_out()


def changed_network(
    architecture: Architecture,
    changed: dict[str, dict[str, Any]],
    shapes: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
) -> nn.Module:
    """Return the network with its changed layers, these without memory. shapes: of the file's tensors, by name.

    ValueError for a layer that it does not have, or one that is described in another way than `describe` does.
    """
    model = fresh_network(architecture)
    names = {name for name, _ in model.named_modules()} - {""}
    for name, description in changed.items():
        if name not in names:
            raise ValueError(f"{architecture.target} has no module {name!r}")
        if description["type"] == RESIZED:
            resize(model.get_submodule(name), name, description["arguments"], shapes)
            continue
        made = make_module(description)
        if describe(made) != description:
            raise ValueError(f"the description of {name!r} is not one that is written: {description}")
        model.set_submodule(name, made)
        names |= {f"{name}.{inner}" for inner, _ in made.named_modules() if inner}
    return model


def describe(module: nn.Module) -> dict[str, Any] | None:
    """Return a module's type and arguments, or None if it is of a type that files cannot name.

    A layer of a plugin is named by its dotted path. ValueError if it does not keep an argument as an attribute.
    """
    kind = type(module).__name__
    if STORABLE.get(kind) is not type(module):
        kind = dotted_path(type(module))
        if plugin_of(kind) is None:
            return None
    arguments = {}
    for name, default in _arguments(type(module)).items():
        value = module.bias is not None if name == "bias" else getattr(module, name, module)
        if not _is_plain(value):
            what = "keeps no number, text or list of them under that name"
            raise ValueError(f"{kind} takes {name!r}, but {what}, so a packed file cannot say how it was made")
        if value != default:  # an argument a later torch adds stays unsaid as long as nobody uses it
            arguments[name] = list(value) if isinstance(value, tuple) else value
    return {"type": kind, "arguments": arguments}


def make_module(description: dict[str, Any]) -> nn.Module:
    """Return a module on the meta device, or, of a plugin's type, in full. ValueError if its type or an argument is not
    storable, or the type may not be named (`core.dotted.locate`)."""
    kind = STORABLE.get(description["type"])
    meta: Any = torch.device("meta")
    if kind is None:
        kind, meta = locate(description["type"], f"{layers.__name__}."), torch.random.fork_rng(devices=[])
    if not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
        raise ValueError(f"the module type {description['type']!r} cannot be stored in a file")
    arguments = {
        name: tuple(value) if isinstance(value, list) else value for name, value in description["arguments"].items()
    }
    if unknown := arguments.keys() - _arguments(kind).keys():  # `device` would leave the meta device
        raise ValueError(f"{min(unknown)!r} is not an argument of {kind.__name__} that a file can store")
    with meta, _few_modules():
        made: nn.Module = kind(**arguments)
    return made


def changed_modules(model: nn.Module, fresh: nn.Module, name: str = "") -> dict[str, dict[str, Any]]:
    """Return the descriptions, by name, of the modules in which `model` differs from `fresh`.

    A described module stands for all that is in it; in a container and in one of a plugin, what is changed inside is
    described too. Raises ValueError if they differ in something that a file cannot say. name: where the two stand in
    the whole network, empty for the whole.
    """
    changed: dict[str, dict[str, Any]] = {}
    if STORABLE.get(type(model).__name__) is type(model):
        description = describe(model)
        assert description is not None
        if type(fresh) is not type(model) or description != describe(fresh):
            changed[name], fresh = description, make_module(description)
        return changed | (_changed_inside(model, fresh, name) if isinstance(model, IN_PARTS) else {})
    if name and not _alike(model, fresh) and (description := describe(model)) is not None:
        changed[name], fresh = description, make_module(description)
    if type(model) is not type(fresh):
        raise ValueError(f"{name or 'the network'} is a {type(model).__name__}, which a packed file cannot store")
    ours, before = _settings(model), _settings(fresh)
    sizes = resized(ours, before)
    if sizes:
        changed[name] = {"type": RESIZED, "arguments": sizes}
    elif ours != before or sizes is None:
        raise ValueError(f"{name or 'the network'} has {ours} instead of {before}, which a packed file cannot store")
    if list(model._modules) != list(fresh._modules):
        found, wanted = ", ".join(model._modules), ", ".join(fresh._modules)
        raise ValueError(f"{name or 'the network'} has the modules {found} instead of {wanted}")
    return changed | _changed_inside(model, fresh, name)


def _changed_inside(model: nn.Module, fresh: nn.Module, name: str) -> dict[str, dict[str, Any]]:
    """Return what differs in the parts of two modules whose parts have the same names."""
    changed: dict[str, dict[str, Any]] = {}
    for child, module in model._modules.items():
        original = fresh._modules[child]
        if module is not None and original is not None:
            changed |= changed_modules(module, original, f"{name}.{child}" if name else child)
    return changed


def _alike(model: nn.Module, fresh: nn.Module) -> bool:
    """Return whether two modules differ only in what is inside their parts."""
    same = type(model) is type(fresh) and list(model._modules) == list(fresh._modules)
    return same and _settings(model) == _settings(fresh)


def _arguments_of(kind: Callable[..., object]) -> dict[str, Any]:
    """Return the arguments of a type that files hold, and their defaults."""
    parameters = inspect.signature(kind).parameters.values()
    kept = [each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    return {each.name: each.default for each in kept if each.name not in UNSAID}


_arguments: Callable[[Any], dict[str, Any]] = cache(_arguments_of)
"""Remembered, for every layer of a network is asked."""


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return isinstance(value, PLAIN)


def _settings(module: nn.Module) -> dict[str, Any]:
    """Return the plain attributes of a module: what may decide what it computes, and no file says."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, (*PLAIN, tuple)) and not name.startswith("_") and name not in NO_SETTINGS
    }


@contextmanager
def _few_modules() -> Iterator[None]:
    """Stop building when there are too many modules: a depth of a billion is a short number in a file."""
    count = 0

    def counted(module: nn.Module, name: str, child: nn.Module | None) -> None:
        nonlocal count
        count += 1
        if count > MOST_MODULES:
            raise ValueError(f"the network has more than {MOST_MODULES:,} modules")

    handle = register_module_module_registration_hook(counted)
    try:
        yield
    finally:
        handle.remove()
