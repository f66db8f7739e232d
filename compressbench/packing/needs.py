"""The plugins a packed file needs: its header names them, and whoever opens it must have asked for them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

from compressbench.core.plugins import in_use, plugin_of
from compressbench.packing.container import PackedFileError

MOST, LONGEST = 20, 200
"""Plugins a file may name, and letters of what it says of each."""


class Need(NamedTuple):
    """A plugin as a file names it. dotted: the classes of it that stand in the file, by their dotted paths."""

    name: str
    module: str
    version: str
    dotted: list[str]

    def __str__(self) -> str:
        return f"{self.name!r} {self.version} (for {', '.join(self.dotted)})"


def needs_of(dotted: Iterable[str]) -> list[Need]:
    """Return the plugins that classes lie in, given by their dotted paths."""
    found: dict[str, Need] = {}
    for path in sorted(set(dotted)):
        if plugin := plugin_of(path):
            need = Need(plugin.name, plugin.module, plugin.version, [])
            found.setdefault(plugin.module, need).dotted.append(path)
    return list(found.values())


def needs_in(header: dict[str, Any]) -> list[Need]:
    """Return the plugins a header names. PackedFileError if it names them in another way than is written."""
    rows = header.get("plugins", [])
    if not isinstance(rows, list) or len(rows) > MOST:
        raise PackedFileError("the plugins it needs are no short list")
    return [_need(row) for row in rows]


def missing(header: dict[str, Any]) -> list[Need]:
    """Return the plugins a header names that nobody asked for. PackedFileError as `needs_in`."""
    there = {plugin.module for plugin in in_use()}
    return [need for need in needs_in(header) if need.module not in there]


def check_needs(header: dict[str, Any]) -> None:
    """Raise PackedFileError, saying what to pass, unless every plugin a header names was asked for."""
    absent = missing(header)
    if absent:
        names = [need.name for need in absent]
        flags = " ".join(f"--plugin {name}" for name in names)
        what = f"it needs the plugin {'; '.join(map(str, absent))}"
        raise PackedFileError(f"{what}; if you trust it, ask for it: load(..., plugins={names}), or {flags}")
    for need in needs_in(header):
        here = next(plugin for plugin in in_use() if plugin.module == need.module)
        if here.version != need.version:
            said = f"the packed file was written with the plugin {need.name!r} {need.version}; here is {here.version}"
            warnings.warn(said, stacklevel=2)


def _need(row: Any) -> Need:
    right = isinstance(row, list) and len(row) == 4 and isinstance(row[3], list)
    if not right or not all(isinstance(text, str) and len(text) <= LONGEST for text in [*row[:3], *row[3]]):
        raise PackedFileError("a plugin it needs is not said in name, module, version and classes")
    return Need(*row)
