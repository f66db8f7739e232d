"""Whether a class is what a recipe uses it as: technique, dataset, metric. What a plugin's author forgot is said."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Any

from compressbench.core.data import Dataset
from compressbench.core.errors import Fault, PlanError
from compressbench.core.metric import Metric
from compressbench.core.task import Task
from compressbench.core.technique import Technique
from compressbench.planning.schema import located

FOLDERS: dict[Any, str] = {
    Technique: "compressbench.techniques.",
    Dataset: "compressbench.data.",
    Metric: "compressbench.metrics.",
    Task: "compressbench.data.tasks.",
}
"""What a class may be used as, and where ours lie."""


def part(target: str, wanted: type, where: str) -> Any:
    """Return the class of a dotted path, to be used as `wanted`, a key of `FOLDERS`. Raises PlanError with everything
    that is wrong with it."""
    found = located(target, FOLDERS[wanted], where)
    if faults := [Fault(where, f"{target} is no {wanted.__name__.lower()}: {what}") for what in lacks(found, wanted)]:
        raise PlanError(faults)
    return found


def lacks(code: Callable[..., Any], wanted: type) -> list[str]:
    """Return what a class lacks to be a `wanted` (a protocol, or Technique), in words."""
    if not inspect.isclass(code):
        return ["it is a function; a class is needed"]
    found: list[str] = []
    if wanted is Technique and not issubclass(code, Technique):
        return ["it does not inherit from compressbench.core.technique.Technique"]
    if not dataclasses.is_dataclass(code):
        found.append("it is no dataclass; write `@dataclass(frozen=True)` above it")
    elif not code.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        found.append("it is not frozen; write `@dataclass(frozen=True)`")
    for name, member in _members(wanted).items():
        found += _lack(code, name, member)
    try:
        typing.get_type_hints(code)
    except Exception as error:  # an annotation is somebody's code
        found.append(f"the types of its fields cannot be read: {error}")
    return found


def _members(wanted: type) -> dict[str, Any]:
    """Return what has to be there, by name: public methods and properties without a body of their own."""
    names = getattr(wanted, "__abstractmethods__", None) or vars(wanted)
    return {
        name: vars(wanted)[name]
        for name in sorted(names)
        if not name.startswith("_") and isinstance(vars(wanted)[name], Callable | property)  # type: ignore[arg-type]
    }


def _lack(code: type, name: str, member: Any) -> list[str]:
    own = getattr(code, name, None)
    if not callable(member):
        there = own is not None or name in {field.name for field in dataclasses.fields(code)}  # type: ignore[arg-type]
        return [] if there else [f"it does not say its `{name}`"]
    given = list(inspect.signature(member).parameters)[1:]
    if own is None or getattr(own, "__isabstractmethod__", False):
        return [f"it has no method `{name}({', '.join(given)})`"]
    try:
        inspect.signature(own).bind(None, *given)
    except TypeError:
        takes = ", ".join(list(inspect.signature(own).parameters)[1:])
        return [f"its method `{name}({takes})` is not `{name}({', '.join(given)})`"]
    except ValueError:  # it does not say what it takes
        pass
    return []
