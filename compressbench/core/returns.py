"""Whether code makes networks, told without running it: a packed file may name any function of a plugin."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

MOST_STEPS = 5
"""Functions are followed into functions so deep."""


def makes_network(code: Callable[..., object], steps: int = MOST_STEPS) -> bool:
    """Return whether code is a subclass of nn.Module, or a function that says or shows that it returns one.

    It says so by its annotation (`-> nn.Module`). It shows so if every `return` in it gives a call of such a class or
    function, or a local name that such a call was assigned to.
    """
    from torch import nn

    if inspect.isclass(code):
        return issubclass(code, nn.Module)
    if not inspect.isfunction(code):
        return False
    try:
        said = get_type_hints(code).get("return")
    except Exception:  # annotations that only a type checker can read
        said = None
    if said is not None:
        return inspect.isclass(said) and issubclass(said, nn.Module)
    return steps > 0 and _shows_network(code, steps)


def _shows_network(function: Any, steps: int) -> bool:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return False
    body = [node for node in ast.walk(tree) if isinstance(node, ast.Return | ast.Assign)]
    made = {
        target.id
        for node in body
        if isinstance(node, ast.Assign) and _calls_network(node.value, function.__globals__, steps)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    given = [node.value for node in body if isinstance(node, ast.Return)]
    return bool(given) and all(
        _calls_network(value, function.__globals__, steps) or (isinstance(value, ast.Name) and value.id in made)
        for value in given
    )


def _calls_network(value: ast.expr | None, names: Mapping[str, Any], steps: int) -> bool:
    if not isinstance(value, ast.Call):
        return False
    parts, node = [], value.func
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return False
    found = names.get(node.id)
    for part in reversed(parts):
        found = getattr(found, part, None)
    return callable(found) and makes_network(found, steps - 1)
