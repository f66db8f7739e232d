"""What people write behind `run`: made easier before Hydra sees it, and read afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from compressbench.core.errors import PlanError
from compressbench.core.training import TrainingConfig
from compressbench.planning.recipe import GROUPS

CHECKED = ("stages", "model", "dataset", "training", "limits", "budget", "reference")
"""Nodes whose keys we check ourselves, with their types, after Hydra has composed them."""

DELETED = "__deleted__"
"""The key that marks a stage for deletion."""

NO_NAME = r"(?i)null|true|false|[-+\d._]+|[\[{].*"
"""What Hydra does not take for the name of a file."""

NOT_THE_RESULT = ("recipe", "seed", "budget")
"""Nodes of a plan that do not tell two runs of a row apart, or are said beside what does."""

_TRAINING = frozenset({"training", *(field.name for field in fields(TrainingConfig))})


def without_plus(overrides: Iterable[str]) -> list[str]:
    """Return the overrides with `stages.prune.ratio=0.5` forced in, whether the recipe says a ratio or not.

    Hydra wants a plus sign for keys that are not in the YAML. A stage's parameters mostly are not, they
    have defaults; so the plus is added here, and unknown keys are found by our own check. `~stages.NAME`
    marks a stage as deleted, so that one that is not there is found in the same way. A path to a recipe is quoted
    where it must be. PlanError for a file that is given by no name (`model=null`), which Hydra answers with a
    traceback.
    """
    return [_forced(text) for text in overrides]


def as_written(overrides: Iterable[str]) -> list[str]:
    """Return the overrides as they were before `without_plus`."""
    return [_unforced(text) for text in overrides]


def changes_training(overrides: Sequence[str]) -> bool:
    """Return whether any override changes how long or how something is trained, or limits it."""
    return any(_changes_training(text) for text in overrides)


def changed(overrides: Sequence[str], plan: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return (key, value) of every override that makes this another run than the recipe's own, as written.

    plan: the dotted keys of the plan; where data lies, how a run is carried out and tracked is in none of them.
    """
    keys, found = list(plan), {}
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        node = key.lstrip("~").partition(".")[0]
        inside = any(other == key or other.startswith(f"{key}.") for other in keys)
        if node not in NOT_THE_RESULT and (inside or node in ("training", "debug") or key.startswith("~stages")):
            found[key] = value
    return tuple(found.items())


def _changes_training(override: str) -> bool:
    override = override.lstrip("+~")
    parts = _key(override).split(".")
    if parts[0] == "limits":
        return True
    if parts[0] == "training":
        return len(parts) > 1
    if parts[0] != "stages":
        return False
    # `stages.train.training.lr=0.1` says it in the key, `stages.train={training: {lr: 0.1}}` in the value.
    inside = re.findall(r"(\w+)\s*:", override.partition("=")[2])
    return bool(_TRAINING & {*parts[2:], *inside})


def _forced(override: str) -> str:
    key, equals, value = override.partition("=")
    if equals and not key:
        raise PlanError.of(override, "has no key; write KEY=VALUE")
    if key in ("recipe", *GROUPS) and re.fullmatch(NO_NAME, value):
        raise PlanError.of(key, f"is {value}; allowed: a name, or with `run -m` several, {key}=a,b")
    if key == "recipe" and not re.fullmatch(r"[\w./-]*", value, re.ASCII):
        file = Path(value).expanduser()
        if file.is_file() or value.startswith("~/"):
            return "recipe='{}'".format(str(file).replace("\\", "\\\\").replace("'", "\\'"))
    if re.fullmatch(r"~stages\.[^.=]+", override):
        return f"++{override[1:]}.{DELETED}=true"
    return f"++{override}" if _is_checked(override) else override


def _unforced(override: str) -> str:
    if not override.startswith("++") or not _is_checked(override[2:]):
        return override
    stage, deletes, _ = override[2:].partition(f".{DELETED}=")
    return f"~{stage}" if deletes else override[2:]


def _key(override: str) -> str:
    return override.partition("=")[0]


def _is_checked(override: str) -> bool:
    node, dot, _ = _key(override).partition(".")
    return bool(dot) and node in CHECKED and "=" in override
