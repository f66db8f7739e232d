"""What people write behind `run`: checked before Hydra reads it, and what it says of a run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from compressbench.core.errors import PlanError
from compressbench.core.training import TrainingConfig
from compressbench.planning.recipe import GROUPS

NO_NAME = r"(?i)null|true|false|[-+\d._]+|[\[{].*"
"""What Hydra does not take for the name of a file."""

PLAIN = r"(?!(?i:nan|inf)$)[A-Za-z_/][\w./-]*"
"""What needs no quotes in Hydra's grammar."""

NOT_THE_RESULT = ("recipe", "seed", "budget")
"""Nodes of a plan that do not tell two runs of a row apart, or are said beside what does."""

_TRAINING = frozenset({"training", *(field.name for field in fields(TrainingConfig))})


def readable(overrides: Iterable[str]) -> list[str]:
    """Return the overrides as Hydra can read them: as they are, but a path to a recipe is quoted where it must be.

    PlanError for one without a key, and for a file that is given by no name (`model=null`), which Hydra answers with a
    traceback.
    """
    return [_readable(text) for text in overrides]


def written(value: object) -> str:
    """Return a value as it is written behind `KEY=`: numbers, truth values, None, texts, paths, lists and mappings.

    TypeError for anything else.
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int | float):
        return repr(int(value) if isinstance(value, int) else float(value))
    if isinstance(value, str | Path):
        text = str(value)
        if re.fullmatch(PLAIN, text) and not re.fullmatch(NO_NAME, text):
            return text
        escaped = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), text)
        return f"'{escaped}'"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written(content)}" for key, content in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(written, value)) + "]"
    if hasattr(value, "item"):  # numpy's numbers
        return written(value.item())
    raise TypeError(f"a {type(value).__name__} cannot be written in a recipe: {value!r}")


def changes_training(overrides: Sequence[str]) -> bool:
    """Return whether any override changes how long or how something is trained, or limits it."""
    return any(_changes_training(text) for text in overrides)


def node_of(override: str) -> str:
    """Return the part of the configuration that an override changes: `dataset` of `dataset.root=/data`."""
    return _key(override.lstrip("+~")).partition(".")[0]


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


def _readable(override: str) -> str:
    key, equals, value = override.partition("=")
    if equals and not key:
        raise PlanError.of(override, "has no key; write KEY=VALUE")
    if key in ("recipe", *GROUPS) and re.fullmatch(NO_NAME, value):
        raise PlanError.of(key, f"is {value}; allowed: a name, or with `run -m` several, {key}=a,b")
    if key == "recipe" and not re.fullmatch(r"[\w./-]*", value, re.ASCII):
        file = Path(value).expanduser()
        if file.is_file() or value.startswith("~/"):
            return f"recipe={written(str(file))}"
    return override


def _key(override: str) -> str:
    return override.partition("=")[0]
