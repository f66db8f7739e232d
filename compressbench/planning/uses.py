"""In which tables each technique stands, by the text of the recipes; composing them would take minutes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from compressbench.planning import catalogue

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def tables_of_techniques() -> dict[str, list[str]]:
    """Return the folders with a recipe that names a technique, by the technique's name. A file that cannot be read is
    left out: whoever runs it is told why."""
    folders = catalogue.recipe_folders()
    found: dict[str, dict[str, None]] = {}
    for name, file in catalogue.recipe_files(folders).items():
        table = name.rpartition("/")[0]
        for techniques in _stages(file, folders, ()).values() if table else ():
            for technique in techniques:
                found.setdefault(technique, {})[table] = None
    return {technique: list(tables) for technique, tables in found.items()}


def _stages(file: Path, folders: Sequence[Path], chain: tuple[Path, ...]) -> dict[str, set[str]]:
    """Return the techniques each stage of a recipe names, those it inherits with `extends` too."""
    try:
        tree = yaml.load(file.read_text(encoding="utf-8"), LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        tree = None
    tree = tree if isinstance(tree, dict) else {}
    stages: dict[str, set[str]] = {}
    if "extends" in tree and file not in chain:
        beside = (folder / f"{tree['extends']}.yaml" for folder in (file.parent, *folders))
        parent = next((each for each in beside if each.is_file() and each != file), None)
        stages = _stages(parent, folders, (*chain, file)) if parent else {}
    own = tree.get("stages")
    for name, node in own.items() if isinstance(own, dict) else ():
        if node is None:
            stages.pop(name, None)
        elif isinstance(node, dict):
            kept = set() if "technique" in node else stages.get(name, set())
            stages[name] = kept | set(_techniques(node))
    return stages


def _techniques(node: Any) -> Iterator[str]:
    """Yield every technique that a stage names: its own, and that of a stage key like `distill`."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if key == "technique" and isinstance(value, str):
            yield value
        yield from _techniques(value)
