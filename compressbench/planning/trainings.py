"""How a stage says its training: all of a schedule's (`${training.finetune}`), or `{extends: finetune, epochs: 2}`.

`extends` names a part of conf/training, whole or not (`train_plain` is a learning rate alone). What a recipe says lies
over the part that it extends, and that over what conf/technique says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from compressbench.core.errors import Fault, suggestion
from compressbench.core.training import TrainingConfig

EXTENDS = "extends"
DISTILL = "distill"
"""The key of a stage that says by whose objective its trainings are scored: a technique and its parameters."""
KD = "distillation/kd"
"""The technique that is meant where `distill` names none."""
_FIELDS = frozenset(field.name for field in fields(TrainingConfig))
_WHOLE = re.compile(r"\$\{training\.(\w+)\}")

Tree = dict[str, Any]


def opened(stage: Tree) -> Tree:
    """Return a stage with whole trainings as mappings (`{extends: finetune}`), so that single values can be changed."""
    return {
        key: opened(value) if key == DISTILL and isinstance(value, dict) else _opened(value)
        for key, value in stage.items()
    }


def layered(defaults: Tree, own: Tree, schedules: Mapping[str, Any]) -> Tree:
    """Return a stage's own values over the defaults of its technique; those of a training one by one.

    schedules: what `extends` may name; a name that is not there is left for `extends_faults`.
    """
    found = {**defaults, **own}
    for key in own.keys() & defaults.keys():
        below, above = _opened(defaults[key]), _opened(own[key])
        if isinstance(above, dict) and isinstance(below, dict) and EXTENDS in below:
            found[key] = {**_expanded(below, schedules), **_expanded(above, schedules)}
    return {key: _expanded(_opened(value), schedules) for key, value in found.items()}


def extends_faults(values: Tree, schedules: Mapping[str, Any], where: str) -> list[Fault]:
    """Return a fault for every training of a stage that extends what is not there."""
    return [
        Fault(
            f"{where}.{key}.{EXTENDS}",
            f"there is no {value[EXTENDS]!r}; {suggestion(value[EXTENDS], _names(schedules))}",
        )
        for key, value in values.items()
        if isinstance(value, dict) and isinstance(value.get(EXTENDS), str)
    ]


def _opened(value: Any) -> Any:
    whole = _WHOLE.fullmatch(value) if isinstance(value, str) else None
    return {EXTENDS: whole.group(1)} if whole else value


def _expanded(value: Any, schedules: Mapping[str, Any]) -> Any:
    name = value.get(EXTENDS) if isinstance(value, dict) else None
    if name in schedules and name not in _names(schedules) and len(value) == 1:
        return f"${{training.{name}}}"  # a single value, such as `init`
    if name not in _names(schedules):
        return value
    part = {key: f"${{training.{name}.{key}}}" for key in schedules[name] if key in _FIELDS}  # others are faults there
    return {**part, **{key: own for key, own in value.items() if key != EXTENDS}}


def _names(schedules: Mapping[str, Any]) -> list[str]:
    return [str(name) for name in schedules if isinstance(schedules[name], Mapping)]
