"""Stages as a recipe writes them, completed with the defaults of their techniques."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from compressbench.planning.catalogue import conf_folder, group_file
from compressbench.planning.recipe import TARGET as TARGET
from compressbench.planning.recipe import load_yaml
from compressbench.planning.trainings import DISTILL, KD, layered


def complete_stages(config: DictConfig) -> None:
    """Fill in what the stages leave to conf/technique, in place; a stage that is null is deleted.

    A stage without a known technique stays as it is: `build` says what is wrong with it. `_target_` is left
    out, so that the only place that names code is conf/.
    """
    stages = config.get("stages")
    if not isinstance(stages, DictConfig):
        return
    completed, schedules = {}, config.get("training") or {}
    for name in stages:
        node = stages._get_node(name)
        if not isinstance(node, DictConfig) or node._is_none():
            if stages[name] is not None:
                completed[str(name)] = stages[name]
            continue
        own: Any = OmegaConf.to_container(node, resolve=False)
        completed[str(name)] = _completed(own, schedules) if own.get("technique") is not None else own
    config.stages = completed


def _completed(own: dict[str, Any], schedules: Any) -> dict[str, Any]:
    """Return a stage over the defaults of its technique, and its distillation, if any, over those of its own."""
    kind = own["technique"]
    file = technique_file(kind) if isinstance(kind, str) else None
    defaults = load_yaml(file) if file else {}
    defaults.pop(TARGET, None)
    found = {"technique": kind, **layered(defaults, own, schedules)}
    if not isinstance(own.get(DISTILL), dict):
        return found
    taught = _completed({"technique": KD, **own[DISTILL]}, schedules)
    if "training" not in own[DISTILL]:  # a default; `build` says that one of a recipe's own has no place there
        taught.pop("training", None)
    return {**found, DISTILL: taught}


def technique_file(kind: str) -> Path | None:
    """Return the YAML of a technique, or None if there is none of that name."""
    return group_file("technique", kind)


def default_schedules() -> dict[str, Any]:
    """Return the entry of conf/training that conf/config.yaml starts from."""
    file = group_file("training", chosen_by_default("training"))
    assert file is not None
    return load_yaml(file)


def is_dotted(name: object) -> bool:
    """Return whether a name is that of a class in a plugin (`plugins.MyPruning`), not of an entry of conf/."""
    return isinstance(name, str) and re.fullmatch(r"\w+(\.\w+)+", name, re.ASCII) is not None


def chosen_by_default(group: str) -> str:
    """Return the entry of a config group that conf/config.yaml starts from."""
    defaults = load_yaml(conf_folder() / "config.yaml")["defaults"]
    return next(str(entry[group]) for entry in defaults if isinstance(entry, dict) and group in entry)
