"""What Python says of a run, as the words of the command line: a recipe by its name, its file or its content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compressbench.core.atomic import write_atomically
from compressbench.core.errors import PlanError
from compressbench.core.identity import digest
from compressbench.core.paths import outputs_folder

Recipe = str | Path | Mapping[str, Any]
"""The name of a recipe, the path to a file, or what such a file would hold."""


def words_of(
    recipe: Recipe, overrides: Sequence[str], outputs: str | Path | None = None, name: str = "recipe"
) -> list[str]:
    """Return the overrides that stand for a call. PlanError for a recipe that cannot be written as one.

    outputs: the folder of the runs; as the recipe or the overrides say if left out. name: what a recipe that is given
    by its content is called, before digits that identify it.
    """
    from compressbench.planning.overrides import written

    words = [*overrides, *([f"outputs={written(str(outputs))}"] if outputs is not None else [])]
    if isinstance(recipe, Mapping):
        recipe = kept(recipe, outputs_folder(outputs or recipe.get("outputs")), name)
    return [f"recipe={recipe}", *words]


def kept(recipe: Mapping[str, Any], outputs: Path, name: str) -> Path:
    """Write a recipe into the folder of the runs, so that it can be run again, and return its file."""
    import yaml

    try:
        text = yaml.safe_dump(_plain(recipe), sort_keys=False, default_flow_style=None)
    except (yaml.YAMLError, TypeError) as error:
        raise PlanError.of("recipe", f"cannot be written as one: {str(error).splitlines()[0]}") from error
    file = outputs / "recipes" / f"{name}_{digest(text, length=8)}.yaml"
    if not file.is_file():
        write_atomically(file, f"# Given in Python.\n{text}")
    return file


def _plain(value: Any) -> Any:
    """Return mappings and sequences as YAML has them, and paths as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(content) for content in value]
    if isinstance(value, Path):
        return str(value)
    return value.item() if hasattr(value, "item") else value  # numpy's numbers
