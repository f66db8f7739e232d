"""Folders of conf entries and recipes: ours, and those of the declared plugins, whose code is not imported for it.

A name stands for one file: an entry of a plugin with the name of one of ours, or of another plugin's, is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from compressbench.core.errors import Fault, PlanError
from compressbench.core.plugins import declared


class Home(NamedTuple):
    """A folder of ours or of a plugin, whose name is empty for ours."""

    folder: Path
    plugin: str


def homes(ours: Path) -> list[Home]:
    """Return the folder `ours` (conf, recipes), and what each plugin has of the same name. PlanError as `declared`."""
    found = {ours.resolve(): ""}
    for plugin in declared():
        folder = plugin.folder(ours.name)
        if folder is not None:
            found.setdefault(folder.resolve(), plugin.name)
    return [Home(folder, name) for folder, name in found.items()]


def files_below(folder: Path) -> dict[str, Path]:
    """Return the YAML files below a folder by name (`pruning/l1_norm`), but those that begin with `_` or a dot."""
    names = {file: file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml")}
    return {name: file for file, name in names.items() if not file.name.startswith(("_", ".")) and file.is_file()}


def unique(candidates: Sequence[tuple[str, Path, str]]) -> dict[str, tuple[Path, str]]:
    """Return file and plugin by name. candidates: name, file, plugin. PlanError naming both files of every name that
    stands for two."""
    found: dict[str, tuple[Path, str]] = {}
    faults = []
    for name, file, plugin in candidates:
        other, whose = found.setdefault(name, (file, plugin))
        if other != file:
            by = f"the plugin {whose!r}" if whose else "compressbench"
            faults.append(Fault(str(file), f"the plugin {plugin!r} has an entry of the name of one of {by}: {other}"))
    if faults:
        raise PlanError(faults)
    return found


def entries_below(ours: Path, group: str) -> dict[str, tuple[Path, str]]:
    """Return file and plugin of every entry of a group, by name. ours: our conf/. PlanError as `unique`."""

    def candidates() -> Iterator[tuple[str, Path, str]]:
        for home in homes(ours):
            for name, file in files_below(home.folder / group).items():
                yield name, file, home.plugin

    return unique(list(candidates()))
