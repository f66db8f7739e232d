"""What there is to choose from: the YAML files of conf/ and recipes/, with their first comment line.

Imports neither hydra nor torch, so that `compressbench list` answers at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parent.parent
"""The folder of the package: conf and recipes lie inside it (a wheel) or beside it (an editable checkout)."""

RECIPES_VARIABLE = "COMPRESSBENCH_RECIPES"
"""Environment variable with further folders of recipes, separated like PATH."""


class Entry(NamedTuple):
    """Something a recipe can name, and the first comment line of its file."""

    name: str
    summary: str


def conf_folder() -> Path:
    """Return the folder with the config groups."""
    return _ours("conf")


def recipe_folders(further: Sequence[Path] = ()) -> list[Path]:
    """Return the folders recipes are looked up in, absolute, the first one wins.

    `./recipes` of the working directory, those of COMPRESSBENCH_RECIPES, `further` ones, then ours.
    """
    named = [Path(folder) for folder in os.environ.get(RECIPES_VARIABLE, "").split(os.pathsep) if folder]
    candidates = [Path("recipes"), *named, *further, _ours("recipes")]
    found = [folder.expanduser().resolve() for folder in candidates]
    return list(dict.fromkeys(folder for folder in found if folder.is_dir()))


def recipe_files(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the rows of `folders`, file by name; the first folder wins. Files starting with `_` are no rows."""
    files: dict[str, Path] = {}
    for folder in folders:
        for name, file in _files(folder).items():
            files.setdefault(name, file)
    return dict(sorted(files.items(), key=lambda item: _natural(item[0])))


def recipes() -> list[Entry]:
    """Return every row that can be run from here."""
    return [Entry(name, _summary(file)) for name, file in recipe_files(recipe_folders()).items()]


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


def group(name: str) -> list[Entry]:
    """Return the entries of a config group, nested ones as `pruning/l1_norm`."""
    files = _files(conf_folder() / name)
    return [Entry(entry, _summary(files[entry])) for entry in sorted(files, key=_natural)]


def _ours(name: str) -> Path:
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def _files(folder: Path) -> dict[str, Path]:
    names = {file: file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml")}
    return {name: file for file, name in names.items() if not file.name.startswith(("_", ".")) and file.is_file()}


def _summary(file: Path) -> str:
    """Return the first line without its `#`; empty if it is no comment."""
    try:
        with file.open(encoding="utf-8", errors="replace") as text:
            line = text.readline().strip()
    except OSError:
        return ""
    return line.lstrip("# ") if line.startswith("#") else ""


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts table5 before table10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
