"""A plan as a dictionary, taken apart: what of it makes a run a run of its row, and what differs between two."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from compressbench.core.task import SAID
from compressbench.core.training import TrainingConfig

OF_THE_PROTOCOL = frozenset({"init", *(field.name for field in fields(TrainingConfig))})
"""What a schedule of conf/training says of a stage: how long and how fast it trains, and from which weights."""


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested dictionary as one level of dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def structure(plan: dict[str, Any]) -> dict[str, Any]:
    """Return what makes a run a run of its row, by dotted key, of a plan as a dictionary: network and stages."""
    flat = flatten({part: plan.get(part, {}) for part in ("model", "stages")})
    return {key: value for key, value in flat.items() if is_structural(key)}


def is_structural(key: str) -> bool:
    """Whether a key makes a run a run of its row: the network and every stage, but not how long and how fast it
    trains, which is the protocol's business, nor where given weights come from."""
    if key.startswith("model.weights."):
        return False
    return OF_THE_PROTOCOL.isdisjoint(key.split(".")[2:]) and key not in (
        *(f"model.{name}" for name in SAID),
        "model.weights",
    )


def changed(ours: dict[str, Any], others: dict[str, Any]) -> list[str]:
    """Return the keys that differ. A key that only one side has is a field that was added since, unless it says
    which technique a stage is."""
    added = {key for key in ours.keys() ^ others.keys() if key.endswith(".technique")}
    return sorted(added | {key for key in ours.keys() & others.keys() if ours[key] != others[key]})
