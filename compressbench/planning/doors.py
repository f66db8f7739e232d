"""Doors: networks of other packages, by their names there (`model=timm/resnet10t`).

Names are read from the package's source, so that a list or a completion need not import it.
"""

from __future__ import annotations

import difflib
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from compressbench.core.errors import PlanError
from compressbench.core.installation import missing

FEW = 5
"""Names that a message proposes at most."""


@dataclass(frozen=True)
class Door:
    """package: whose networks. files: those of its source that name them. pattern: a name in such a file; inside: where
    in it, all of it if empty. target: what builds one. extra: ours that brings the package, empty if all have it."""

    package: str
    files: str
    pattern: str
    target: str
    extra: str
    inside: str = ""


HEADS = ("CAUSAL_LM", "IMAGE_CLASSIFICATION", "SEQUENCE_CLASSIFICATION")
"""What transformers calls the kinds of networks that a task of ours can use."""

DOORS = {
    "torchvision": Door(
        "torchvision",
        "models/*.py",
        r"@register_model\(\)[\s\S]*?\ndef (\w+)\(",
        "compressbench.zoo.torchvision_models.torchvision_model",
        "",
    ),
    "timm": Door(
        "timm",
        "models/*.py",
        r"@register_model\s*\ndef (\w+)\(",
        "compressbench.zoo.timm_models.timm_model",
        "timm",
    ),
    "hf": Door(
        "transformers",
        "models/auto/modeling_auto.py",
        r'\("([\w-]+)", ',
        "compressbench.zoo.transformers_models.transformers_model",
        "transformers",
        rf"MODEL_FOR_(?:{'|'.join(HEADS)})_MAPPING_NAMES = OrderedDict\([\s\S]*?\n\)",
    ),
}
"""By what stands before the slash."""


@cache
def names(door: str) -> list[str]:
    """Return what a package calls its networks, sorted; empty if it is not installed."""
    found = DOORS[door]
    spec = importlib.util.find_spec(found.package)
    if spec is None or spec.origin is None:
        return []
    texts = [file.read_text(encoding="utf-8") for file in sorted(Path(spec.origin).parent.glob(found.files))]
    parts = [part for text in texts for part in (re.findall(found.inside, text) if found.inside else [text])]
    return sorted({name for part in parts for name in re.findall(found.pattern, part)})


def summaries() -> list[tuple[str, str]]:
    """Return a line a door: what stands before the slash, and how many networks there are."""
    return [
        (f"{door}/", f"{len(names(door))} networks of {found.package}" if names(door) else _absent(door))
        for door, found in DOORS.items()
    ]


def split(name: str) -> tuple[str, str] | None:
    """Return the door and what stands behind it, None for a name without one."""
    door, slash, rest = name.partition("/")
    return (door, rest) if slash and door in DOORS else None


def completions(word: str) -> list[str]:
    """Return what goes on with a word: the doors, or, behind one, its networks."""
    found = split(word)
    return [f"{found[0]}/{name}" for name in names(found[0])] if found else [f"{door}/" for door in DOORS]


def node(name: str) -> dict[str, Any]:
    """Return the model node of a network behind a door. PlanError, with the nearest names, if there is none."""
    found = split(name)
    assert found is not None
    door, wanted = found
    there = names(door)
    if not there:
        raise PlanError.of("model", f"is {name!r}, but {_absent(door)}")
    if wanted not in there:
        near = difflib.get_close_matches(wanted, there, n=FEW, cutoff=0.6)
        hint = f"did you mean {' or '.join(f'{door}/{each}' for each in near)}?" if near else ""
        raise PlanError.of("model", f"there is no {name!r}; {hint} (`compressbench list {door}/` shows all)")
    return {"_target_": DOORS[door].target, "name": wanted, "weights": None}


def _absent(door: str) -> str:
    return missing([DOORS[door].package], DOORS[door].extra or "dev")
