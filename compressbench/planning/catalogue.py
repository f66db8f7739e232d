"""What there is to choose from: the YAML files of conf/ and recipes/, with their first comment line.

Imports neither hydra nor torch, so that `compressbench list` answers at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from compressbench.planning.plugins import entries_below, files_below, homes, unique

PACKAGE = Path(__file__).resolve().parent.parent
"""The folder of the package: conf and recipes lie inside it (a wheel) or beside it (an editable checkout)."""

RECIPES_VARIABLE = "COMPRESSBENCH_RECIPES"
"""Environment variable with further folders of recipes, separated like PATH."""


class Entry(NamedTuple):
    """Something a recipe can name, the first comment line of its file, and the plugin that brings it, empty if ours."""

    name: str
    summary: str
    plugin: str = ""


def conf_folder() -> Path:
    """Return our folder with the config groups."""
    return _ours("conf")


def conf_folders() -> list[Path]:
    """Return ours, then those of the declared plugins. PlanError for a plugin that is not there, and for every entry of
    one whose name is taken."""
    found = homes(conf_folder())
    if len(found) > 1:
        unique([(name, file, plugin) for folder, plugin in found for name, file in files_below(folder).items()])
    return [home.folder for home in found]


def recipe_folders(further: Sequence[Path] = ()) -> list[Path]:
    """Return the folders recipes are looked up in, absolute, the first one wins.

    `./recipes` of the working directory, those of COMPRESSBENCH_RECIPES, `further` ones, ours, then those of plugins,
    none of which may have the name of one of ours. PlanError if one has.
    """
    named = [Path(folder) for folder in os.environ.get(RECIPES_VARIABLE, "").split(os.pathsep) if folder]
    own = [folder.expanduser().resolve() for folder in (Path("recipes"), *named, *further)]
    brought = [home for home in homes(_ours("recipes")) if home.folder not in own]
    if len(brought) > 1:
        unique([(name, file, plugin) for folder, plugin in brought for name, file in files_below(folder).items()])
    found = [*own, *(home.folder for home in brought)]
    return list(dict.fromkeys(folder for folder in found if folder.is_dir()))


def recipe_files(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the rows of `folders`, file by name; the first folder wins. Files starting with `_` are no rows."""
    files: dict[str, Path] = {}
    for folder in folders:
        for name, file in files_below(folder).items():
            files.setdefault(name, file)
    return dict(sorted(files.items(), key=lambda item: _natural(item[0])))


def recipes() -> list[Entry]:
    """Return every row that can be run from here."""
    brought = {home.folder: home.plugin for home in homes(_ours("recipes"))}
    found = recipe_files(recipe_folders()).items()
    return [Entry(name, _summary(file), _home(file, brought)) for name, file in found]


def tables() -> list[str]:
    """Return the folders of recipes that can be run from here."""
    return list(dict.fromkeys(table for entry in recipes() if (table := entry.name.rpartition("/")[0])))


def models() -> list[Entry]:
    return group("model")


def datasets() -> list[Entry]:
    return group("dataset")


def techniques() -> list[Entry]:
    return group("technique")


def metrics() -> list[Entry]:
    return group("metric")


def training() -> list[Entry]:
    return group("training")


def launchers() -> list[Entry]:
    return group("launcher")


def group(name: str) -> list[Entry]:
    """Return the entries of a config group, nested ones as `pruning/l1_norm`. PlanError if a name stands for two."""
    found = entries_below(conf_folder(), name)
    return [Entry(entry, _summary(found[entry][0]), found[entry][1]) for entry in sorted(found, key=_natural)]


def group_file(group: str, name: str) -> Path | None:
    """Return the YAML file of an entry of a config group, or None if there is none of that name. PlanError if there are
    two."""
    if not all(part and part[0] not in "._" for part in name.split("/")):
        return None
    files = [(home, home.folder / group / f"{name}.yaml") for home in homes(conf_folder())]
    found = unique([(name, file, home.plugin) for home, file in files if file.is_file()])
    return found[name][0] if found else None


def _ours(name: str) -> Path:
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def _home(file: Path, brought: dict[Path, str]) -> str:
    """Return the plugin in whose folder of recipes a file lies, empty if in none."""
    return next((plugin for folder, plugin in brought.items() if file.is_relative_to(folder)), "")


def _summary(file: Path) -> str:
    """Return the first line without its `#`, or the one below a `# @package`; empty if it is no comment."""
    try:
        with file.open(encoding="utf-8", errors="replace") as text:
            line = next((line.strip() for line in text if not line.startswith("# @")), "")
    except OSError:
        return ""
    return line.lstrip("# ") if line.startswith("#") else ""


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts table5 before table10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
