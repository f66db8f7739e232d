"""Golden results on the disk: one JSON file each, with the version of the code that made it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.golden.figures import Figures, differences
from tests.golden.made import Made

RESULTS = Path(__file__).parent / "results"


def path_of(name: str) -> Path:
    return RESULTS / f"{name.replace('/', '.')}.json"


def fault(name: str, made: Made, stored: Made | None) -> str | None:
    """Return what is wrong with a stored result, in words that say what to do, or None."""
    again = f"write it with `python -m tests.golden.write {name}`"
    if stored is None:
        return f"{name} has no golden result; {again}"
    (version, figures), (old_version, old_figures) = made, stored
    if version != old_version:
        return f"{name} is of version {version}, its golden result of version {old_version}; {again}"
    if found := differences(figures, old_figures):
        shown = "\n  ".join(found[:8])
        return (
            f"{name} gives other results than before under the same version, {version}. If they are meant, raise "
            f"{_where(name)} so that nothing stored is taken for them, and {again}:\n  {shown}"
        )
    return None


def read(name: str) -> Made | None:
    if not path_of(name).exists():
        return None
    stored = json.loads(path_of(name).read_text())
    return stored["version"], stored["figures"]


def write(name: str, made: Made) -> None:
    version, figures = made
    path_of(name).write_text(_text({"version": version, "figures": figures}))


def _where(name: str) -> str:
    if name.startswith("training/"):
        return "`LOOP_VERSION` in compressbench/core/training.py"
    return f"the class attribute `version` of the {name.partition('/')[0]}"


def _text(content: dict[str, int | Figures]) -> str:
    """Return JSON with a figure a line, so that a change shows which."""
    figures = content["figures"]
    assert isinstance(figures, dict)
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in figures.items()]
    return f'{{\n "version": {content["version"]},\n "figures": {{\n' + ",\n".join(lines) + "\n }\n}\n"
