"""Code by its dotted path, as a recipe or a file names it: the one place that decides whether it may be imported."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from typing import Any

from compressbench.core.plugin import Plugin
from compressbench.core.plugins import declared, in_use

_PUBLIC = re.compile(r"([A-Za-z]\w*\.)+[A-Za-z]\w*", re.ASCII)
"""No part is empty or begins with an underscore."""


def locate(target: str, below: str) -> Any:
    """Return the class or function of a dotted path; its module is imported, if it may be.

    It may be below `below`, a path of ours with a dot at its end (`compressbench.zoo.`), or in a plugin in use (see
    `core.plugins`). What a module only imports is not its own: it must be defined there, or elsewhere in the plugin.
    ValueError for anything else, and for what cannot be imported.
    """
    module, _, name = target.rpartition(".")
    plugin = next((plugin for plugin in in_use() if plugin.holds(module)), None)
    if not _PUBLIC.fullmatch(target) or not (target.startswith(below) or plugin):
        raise ValueError(f"the code {target!r} may not be named; {_allowed(module, below)}")
    if plugin is not None and plugin.load().__name__ != module and module not in sys.modules:
        _check_says(plugin, module, name)
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # a plugin's module may do anything
        said = str(error) if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"the code {target} cannot be imported: {said}") from error
    home = str(getattr(found, "__module__", None))
    own = plugin.holds(home) if plugin else home == module
    if not own or not (inspect.isclass(found) or inspect.isfunction(found)):
        raise ValueError(f"{target!r} is no class or function that is defined there")
    return found


def dotted_path(code: type) -> str:
    """Return by which path a class is named: `plugins.Net`."""
    return f"{code.__module__}.{code.__qualname__}"


def _check_says(plugin: Plugin, module: str, name: str) -> None:
    """Raise ValueError unless a module's text says a name, so that no script beside the others is run for a file."""
    place = plugin.path.joinpath(*module.removeprefix(f"{plugin.module}.").split("."))
    file = next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)
    tree = ast.parse(file.read_bytes()) if file else ast.Module([], [])
    said = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    for node in tree.body:
        said |= {alias.asname or alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else set()
    if name not in said:
        raise ValueError(f"the plugin {plugin.name!r} has no {module}.{name}")


def _allowed(module: str, below: str) -> str:
    there = next((plugin for plugin in declared() if plugin.holds(module)), None)
    if there is not None:
        add = f"add --plugin {there.name}, or in Python plugins=[{there.name!r}]"
        return f"the plugin {there.name!r}, declared {there.declared}, was not asked for; {add}"
    return f"only what is below {below}, or in a plugin that you declared, may be run"
