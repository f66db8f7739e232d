"""A tiny run, what it stores, and damage to that."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from compressbench.core.record import RunRecord

TINY = "recipe=tiny"
RECIPE = """\
# LeNet-5, trained, pruned.
model: lenet5
dataset: {name: synthetic, shape: [1, 28, 28], classes: 4, train_images: 64, test_images: 32}
tracking: "off"
stages:
  train: {technique: training/from_scratch, training: {epochs: 2, batch_size: 16, precision: fp32}}
  prune: {technique: pruning/magnitude, ratio: 0.5}
"""


def write_recipe(folder: Path) -> None:
    """Make `recipe=tiny` known to whoever works in a folder."""
    (folder / "recipes").mkdir()
    (folder / "recipes" / "tiny.yaml").write_text(RECIPE)


def figures(outputs: Path) -> list[Any]:
    """Return what the only run below `outputs` found, as `figures_of` does."""
    return figures_of(next((outputs / "runs").rglob("record.json")))


def figures_of(path: Path) -> list[Any]:
    """Return all that a run found but when, how fast, and from where; with the digest of its packed file."""
    record = RunRecord.read(path)
    stages = [
        [stage.name, stage.metrics, stage.skipped, stage.setting, [_timeless(point) for point in stage.curve]]
        for stage in record.stages
    ]
    weights = hashlib.sha256(path.with_name("model.cbp").read_bytes()).hexdigest()
    return [stages, record.layers, record.tensors, record.plan, record.missed, record.status, weights]


def stored(outputs: Path) -> set[str]:
    """Return the names of all files below `outputs` but Hydra's."""
    files = {file.relative_to(outputs).as_posix() for file in outputs.rglob("*") if file.is_file()}
    return {name for name in files if not name.startswith("hydra/")}


def _timeless(point: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in point.items() if key != "seconds"}


def damage(path: Path, chance: random.Random) -> str:
    """Damage a file in one way, and return in which."""
    content = path.read_bytes()
    ways = ["a bit", "cut short", "emptied", "noise"] + ["a value"] * 4 * (path.suffix == ".json")
    way = chance.choice(ways)
    if way == "a value":
        tree = json.loads(content)
        parent, key = chance.choice(list(_leaves(tree)))
        parent[key] = _other(parent[key], chance)
        changed = json.dumps(tree, indent=1).encode()
    elif way == "a bit":
        place = chance.randrange(len(content))
        changed = bytes([*content[:place], content[place] ^ 1 << chance.randrange(8), *content[place + 1 :]])
    else:
        changed = {"cut short": content[: chance.randrange(len(content))], "emptied": b""}.get(way)
        changed = chance.randbytes(len(content)) if changed is None else changed
    path.write_bytes(changed)
    return way


def _leaves(tree: Any) -> Any:
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _leaves(value)


def _other(value: Any, chance: random.Random) -> Any:
    """Return another value, of the same type or not."""
    if isinstance(value, int | float) and chance.random() < 0.7:
        return value + 1
    if isinstance(value, str) and chance.random() < 0.7:
        return f"{value}x"
    return chance.choice([other for other in (None, [], {}, "x", -1, [[]], {"a": 1}) if other != value])
