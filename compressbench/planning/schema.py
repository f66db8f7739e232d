"""From YAML to a checked dataclass, every fault collected."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from compressbench.core.dotted import locate
from compressbench.core.errors import Fault, PlanError, suggestion
from compressbench.core.plugins import use

MISSING = "???"


def resolved(node: DictConfig, where: str) -> dict[str, Any]:
    """Return a node as plain data, interpolations replaced. Raises PlanError, naming every key that points nowhere."""
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for key in map(str, node):
        inner = node._get_node(key)
        if isinstance(inner, DictConfig) and not (inner._is_none() or inner._is_interpolation() or inner._is_missing()):
            try:
                values[key] = resolved(inner, f"{where}.{key}")
            except PlanError as error:
                faults += error.faults
            continue
        try:
            value = MISSING if OmegaConf.is_missing(node, key) else node[key]
            values[key] = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        except InterpolationKeyError as error:
            faults.append(Fault(f"{where}.{key}", f"is {_written(node, key)}, but {_reason(error)}"))
        except OmegaConfBaseException as error:
            faults.append(Fault(f"{where}.{key}", f"cannot be read: {_reason(error)}"))
    if faults:
        raise PlanError(faults)
    return values


def located(target: str, below: str, where: str) -> Callable[..., Any]:
    """Return the class or function of a dotted path, below our own package's folder `below`, or in a declared plugin,
    which is in use from then on. Raises PlanError if it may not be named, or cannot be imported."""
    use(target)
    try:
        found: Callable[..., Any] = locate(target, below)
    except ValueError as error:
        raise PlanError.of(where, str(error)) from error
    return found


def typed(cls: Callable[..., Any], values: Mapping[str, Any], where: str, also: Sequence[str] = ()) -> Any:
    """Return `cls(**values)`, each value converted to its field's type.

    Raises PlanError with every unknown key (and the nearest one), missing value and wrong type; if there are
    none of those, with what the class itself refuses. also: keys that whoever calls has taken out of `values`.
    """
    schema = {field.name: field for field in dataclasses.fields(typing.cast("Any", cls))}
    hints = typing.get_type_hints(cls)
    faults: list[Fault] = []
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key not in schema:
            near = _nearest(key, {name: hints.get(name) for name in (*schema, *also)})
            faults.append(Fault(f"{where}.{key}", f"there is no such key; {near}"))
            continue
        try:
            found[key] = _value(key, hints[key], value, f"{where}.{key}")
        except PlanError as error:
            faults += error.faults
    for name, field in schema.items():
        if name not in values and field.default is field.default_factory is dataclasses.MISSING:
            faults.append(Fault(f"{where}.{name}", f"has no value; {in_words(hints[name])} is needed"))
    if faults:
        raise PlanError(faults)
    try:
        return cls(**found)
    except ValueError as error:
        raise PlanError.of(where, str(error)) from error


def _nearest(key: str, hints: Mapping[str, Any]) -> str:
    """Return what was probably meant: a key, or one of a mapping inside (`training.epochs` for `epochs`)."""
    inside = [
        f"{name}.{inner.name}"
        for name, hint in hints.items()
        for each in (hint, *typing.get_args(hint))
        if dataclasses.is_dataclass(each)
        for inner in dataclasses.fields(each)
    ]
    meant = {path.rpartition(".")[2]: path for path in inside} | {name: name for name in hints}
    near = suggestion(key, meant)
    _, name, *_ = near.split("'") if near.startswith("did") else ("", "")
    return f"did you mean {meant[name]!r}?" if name else suggestion(key, hints)


def schema_of(function: Callable[..., Any]) -> type:
    """Return a dataclass with the parameters of a function or class as fields; types OmegaConf cannot check are Any."""
    code = function.__init__ if inspect.isclass(function) else function  # type: ignore[misc]
    try:
        hints = typing.get_type_hints(code)
    except Exception:  # other people's annotations may name anything, or nothing that is there
        hints = {}
    described: list[Any] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        hint = hints.get(name, Any)
        if not _checkable(hint):
            hint = Any
        default = () if parameter.default is parameter.empty else (dataclasses.field(default=parameter.default),)
        described.append((name, hint, *default))
    return dataclasses.make_dataclass("Arguments", described, kw_only=True)


def _value(key: str, hint: Any, value: Any, where: str) -> Any:
    if value == MISSING:
        raise PlanError.of(where, f"has no value; {in_words(hint)} is needed")
    inner = [each for each in typing.get_args(hint) if dataclasses.is_dataclass(each)]
    if inner and value is not None:  # a training, or none
        hint = inner[0]
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise PlanError.of(where, f"is {value!r}; allowed: a mapping")
        return typed(typing.cast("Any", hint), value, where)
    if getattr(hint, "_is_protocol", False):  # built already, from a `_target_`
        return value
    if hint is Any or type(value) is hint:  # which OmegaConf finds out at ten times the cost
        return value
    try:
        merged: Any = OmegaConf.merge(_holder(hint), {"value": value})
        checked = merged["value"]
    except OmegaConfBaseException as error:
        raise PlanError.of(where, f"is {value!r}; {in_words(hint)} is needed") from error
    return OmegaConf.to_container(checked) if OmegaConf.is_config(checked) else checked


@functools.cache
def _holder(hint: Any) -> DictConfig:
    """Return a node whose only key, `value`, takes a type; made once, for a plan has some hundred values."""
    holder: DictConfig = OmegaConf.structured(dataclasses.make_dataclass("Holder", [("value", hint)]))
    return holder


def _checkable(hint: Any) -> bool:
    try:
        _holder(hint)
    except (OmegaConfBaseException, ValueError, TypeError):
        return False
    return True


def in_words(hint: Any) -> str:
    """Return a type in words."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", types.NoneType: "null"}
    words[Any] = "any value"
    if hint in words:
        return words[hint]
    inner = typing.get_args(hint)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return " or ".join(in_words(each) for each in inner)
    plain = [in_words(each).split(" ", 1)[-1] for each in inner]
    if typing.get_origin(hint) in (list, Sequence):
        return f"a list of {plain[0]}" if plain else "a list"
    if typing.get_origin(hint) is dict:
        return f"a mapping from {plain[0]} to {plain[1]}" if plain else "a mapping"
    if getattr(hint, "_is_protocol", False):
        return "a mapping with `_target_`"
    return "a mapping" if dataclasses.is_dataclass(hint) else str(hint)


def _written(node: DictConfig, key: Any) -> str:
    found = node._get_node(key)
    return str(found._value()) if found is not None and not isinstance(found, list) else "an interpolation"


def _reason(error: OmegaConfBaseException) -> str:
    text = (error.msg or str(error)).splitlines()[0]
    missing = text.removeprefix("Interpolation key '").removesuffix("' not found")
    return f"there is no key {missing!r}" if missing != text else text
