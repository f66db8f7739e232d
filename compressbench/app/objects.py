"""Datasets and techniques as Python has them, as a recipe says them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from compressbench.app.compress import importable
from compressbench.core.dotted import dotted_path
from compressbench.core.errors import PlanError

VERBS = {"training/from_scratch": "train", "coding/huffman": "code", "coding/entropy": "code"}
"""What stages of these techniques are called in a list; others are called as their method."""


def dataset_node(dataset: Any) -> Any:
    """Return how a recipe says a dataset. dataset: its name, a mapping as in a recipe, or a Dataset.

    PlanError for anything else.
    """
    if isinstance(dataset, str | Mapping):
        return dataset
    if not is_dataclass(dataset) or isinstance(dataset, type) or not hasattr(dataset, "task"):
        what = (
            f"is a {type(dataset).__name__}; allowed: a name, a mapping, or a Dataset (`compressbench list datasets`)"
        )
        raise PlanError.of("dataset", what)
    return {"_target_": importable(type(dataset), "dataset"), **asdict(dataset)}


def stages_node(stages: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
    """Return how a recipe says stages. PlanError for what is none.

    stages: by name, or in a list, where each may say its `name`; each a mapping with its `technique`, as in a recipe,
    or a Technique. The `distill` of a mapping may be a Technique too; its training is left out.
    """
    if isinstance(stages, Mapping):
        return {str(name): _stage_node(stage, str(name)) for name, stage in stages.items()}
    found: dict[str, Any] = {}
    for number, stage in enumerate(stages):
        node = _stage_node(stage, str(number))
        name = str(node.pop("name", "")) or _called(str(node.get("technique")))
        alike = sum(other == name or other.rpartition("_")[0] == name for other in found)
        found[f"{name}_{alike + 1}" if alike else name] = node
    return found


def _stage_node(stage: Any, where: str) -> dict[str, Any]:
    if isinstance(stage, Mapping):
        lent = stage.get("distill")
        taught = {} if lent is None else {"distill": _distill_node(lent, f"{where}.distill")}
        return {**stage, **taught}
    if not is_dataclass(stage) or isinstance(stage, type) or not hasattr(stage, "apply"):
        what = f"is a {type(stage).__name__}; allowed: a mapping with `technique`, or a Technique"
        raise PlanError.of(f"stages.{where}", what)
    return {"technique": _kind(type(stage), f"stages.{where}"), **asdict(stage)}


def _distill_node(distill: Any, where: str) -> Any:
    """Return how a stage says its distillation: what is no Technique as it is, one without a training of its own."""
    if not hasattr(distill, "apply"):
        return distill
    return {key: value for key, value in _stage_node(distill, where).items() if key != "training"}


def _kind(technique: type, where: str) -> str:
    """Return the name of a technique in the catalogue, or its dotted path if it has none."""
    from compressbench.planning.catalogue import group_file, techniques
    from compressbench.planning.recipe import load_yaml

    path = dotted_path(technique)
    for entry in techniques():
        file = group_file("technique", entry.name)
        if file is not None and load_yaml(file).get("_target_") == path:
            return entry.name
    return importable(technique, where)


def _called(kind: str) -> str:
    return VERBS.get(kind) or kind.replace(".", "/").rpartition("/")[2]
