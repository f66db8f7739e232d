"""What an entry of the catalogue is, and its parameters: from its YAML, its class and what the class refuses.

Importing the class may import torch, so this takes a second where `catalogue` answers at once.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from compressbench.core.model import Model
from compressbench.core.plugins import plugin_of
from compressbench.core.task import SAID
from compressbench.planning import catalogue
from compressbench.planning.recipe import load_yaml
from compressbench.planning.schema import MISSING, in_words, located
from compressbench.planning.stages import TARGET, chosen_by_default, default_schedules
from compressbench.planning.trainings import layered

GROUPS = ("technique", "model", "dataset", "metric")
"""The config groups whose entries name code."""
PROBES: dict[Any, tuple[Any, ...]] = {int: (-(10**9), 10**9), float: (-1e9, 1e9), str: ("?",)}
"""By type, values that hardly any parameter allows."""


class Parameter(NamedTuple):
    """One key of an entry, in words. default: empty if there is none. allowed: empty if the class refuses nothing."""

    name: str
    type: str
    default: str
    allowed: str
    meaning: str


class Description(NamedTuple):
    """An entry: its group, summary, file, the paper it follows (empty if it names none), what it is, its parameters."""

    group: str
    entry: catalogue.Entry
    file: Path
    paper: str
    text: str
    parameters: list[Parameter]


def descriptions(name: str) -> Iterator[Description]:
    """Yield the description of the entry of this name in each group that has one. PlanError for a broken file."""
    for group in GROUPS:
        for entry in catalogue.group(group):
            if entry.name == name:
                yield _described(group, entry)


def _described(group: str, entry: catalogue.Entry) -> Description:
    file = catalogue.group_file(group, entry.name)
    assert file is not None
    written = load_yaml(file)
    code = located(str(written.pop(TARGET)), "compressbench.", entry.name)
    written = layered(written, {}, default_schedules())
    declared = _declared(code)
    if group == "model":  # what the dataset says, or what chose this network among several
        declared = {name: each for name, each in declared.items() if name not in (*SAID, "name")}
        declared["weights"] = (str | None, None)
    meanings = _meanings(Model, ["weights"]) | _comments(file)
    parameters = _parameters(code, declared, written, _resolved(written), meanings)
    text = _paragraphs(code)
    paper = next((part.removeprefix("Source: ") for part in text if part.startswith("Source: ")), "")
    return Description(group, entry, file, paper, text[0] if text else "", parameters)


def _parameters(
    code: Callable[..., Any],
    declared: dict[str, tuple[Any, Any]],
    written: dict[str, Any],
    values: dict[str, Any],
    known: dict[str, str],
) -> list[Parameter]:
    """Return what there is to say of each parameter; those of a mapping inside have dotted names (`training.lr`).

    written, values: from the file, as they stand there and resolved. known: meanings that the file gives.
    """
    parameters, meanings = [], known | _meanings(code, list(declared))
    for name, (hint, default) in declared.items():
        own = written.get(name, default)
        held: Any = next((each for each in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(each)), None)
        if held is not None and isinstance(own, dict):
            inside = _parameters(held, _declared(held), own, values[name], {})
            parameters += [each._replace(name=f"{name}.{each.name}") for each in inside]
            continue
        allowed = _allowed(code, values, name, hint) if dataclasses.is_dataclass(code) else ""
        shown = _default(own, values.get(name))
        parameters.append(Parameter(name, in_words(hint), shown, allowed, meanings.get(name, "")))
    return parameters


def _declared(code: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Return type and default of each field of a dataclass, or each argument of another class or of a function."""
    function = code.__init__ if inspect.isclass(code) else code  # type: ignore[misc]
    hints = typing.get_type_hints(code if dataclasses.is_dataclass(code) else function)
    found = inspect.signature(code).parameters
    return {name: (hints.get(name, Any), each.default) for name, each in found.items()}


def _comments(file: Path) -> dict[str, str]:
    """Return what stands behind the values of a YAML file."""
    lines = re.findall(r"^(\w+):.*?\s#\s+(.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(lines)


def _resolved(written: dict[str, Any]) -> dict[str, Any]:
    """Return a file's values with what they take from the default training put in."""
    whole = OmegaConf.create({"own": written, "training": default_schedules()})
    found: Any = OmegaConf.to_container(whole, resolve=True)
    return dict(found["own"])


def _default(written: Any, value: Any) -> str:
    if written is dataclasses.MISSING or written in (MISSING, inspect.Parameter.empty):
        return ""
    if isinstance(written, str) and written.startswith("${"):
        return f"{written[2:-1]} ({chosen_by_default('training')}: {_shown(value)})"
    return _shown(written)


def _shown(value: Any) -> str:
    """Return a value as YAML writes it."""
    words = {True: "true", False: "false", None: "null"}
    if value is None or isinstance(value, bool):
        return words[value]
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)


def _allowed(cls: Callable[..., Any], values: dict[str, Any], name: str, hint: Any) -> str:
    """Return what the class says is allowed when it is given values that are not."""
    kinds = [each for each in (hint, *typing.get_args(hint)) if each in PROBES and not _is_list(hint)]
    found = []
    for probe in (probe for kind in kinds for probe in PROBES[kind]):
        try:
            cls(**{**values, name: probe})
        except ValueError as error:
            said = re.fullmatch(rf"{name} is .*?; allowed: (.*)", str(error), re.DOTALL)
            found += [said.group(1)] if said else []
        except (TypeError, AttributeError):  # a class that needs more than its file says
            break
    return "; ".join(dict.fromkeys(found))


def _is_list(hint: Any) -> bool:
    return typing.get_origin(hint) not in (None, types.UnionType, typing.Union)


def _meanings(code: Callable[..., Any], names: list[str]) -> dict[str, str]:
    """Return what the docstrings of a class and of those it inherits from say of each name.

    They are written `ratio: fraction of the weights. targets, ignore: what is pruned, and what is not.`
    """
    one = "(?:" + "|".join(map(re.escape, names)) + ")"
    heading = re.compile(rf"(?:^|(?<=[.;)] ))({one}(?:, {one})*): ") if names else None
    found: dict[str, str] = {}
    for cls in reversed(inspect.getmro(code) if inspect.isclass(code) else [code]):
        for paragraph in _paragraphs(cls) if heading else []:
            parts = heading.split(paragraph)  # type: ignore[union-attr]
            for listed, meaning in zip(parts[1::2], parts[2::2], strict=True):
                found |= dict.fromkeys(listed.split(", "), meaning.strip(" ;"))
    return found


def _paragraphs(code: Any) -> list[str]:
    """Return the paragraphs of a docstring of ours or of a plugin, each on one line."""
    if not code.__module__.startswith("compressbench.") and plugin_of(code.__module__) is None:
        return []
    text = inspect.cleandoc(code.__dict__.get("__doc__") or "")
    return [" ".join(part.split()) for part in text.split("\n\n") if part]
