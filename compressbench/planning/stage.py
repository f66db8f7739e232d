"""A stage of a composed configuration: its technique, and the distillation by which its trainings are scored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig

from compressbench.core.before import GIVEN
from compressbench.core.errors import Fault, PlanError, suggestion
from compressbench.core.objective import Distillation
from compressbench.core.plan import Stage
from compressbench.core.technique import Technique
from compressbench.core.training import trainings_in
from compressbench.planning.catalogue import techniques as all_techniques
from compressbench.planning.recipe import load_yaml
from compressbench.planning.schema import resolved, typed
from compressbench.planning.signature import part
from compressbench.planning.stages import TARGET, is_dotted, technique_file
from compressbench.planning.trainings import DISTILL, extends_faults

LIST = "`compressbench list techniques` shows all"
FAMILY = "distillation/"
"""Where techniques are that another stage's training may be scored by."""


def build_stage(config: DictConfig, name: str) -> Stage:
    """Return the stage of this name. PlanError with everything that is wrong with it."""
    where, node = f"stages.{name}", config.stages[name]
    if not isinstance(node, DictConfig):
        raise PlanError.of(where, f"is {node!r}; allowed: a mapping with `technique`")
    if name in ("start", GIVEN) or not re.fullmatch("[A-Za-z0-9_-]+", name):
        what = "cannot be the name of a stage; allowed: A-Z, a-z, digits, _ and -, but not `start` or `given`"
        raise PlanError.of(where, what)
    values, schedules = resolved(node, where), config.get("training") or {}
    kind, taught = values.pop("technique", None), values.pop(DISTILL, None)
    if kind is None:
        near = suggestion(name, [other for other in config.stages if other != name])
        raise PlanError.of(where, f"names no technique; {near if near.startswith('did') else 'add one'}")
    distill, faults = _distill(taught, f"{where}.{DISTILL}", schedules)
    try:
        stage = Stage(name, kind, _technique(kind, values, where, schedules, also=[DISTILL]), distill)
    except PlanError as error:
        raise PlanError([*error.faults, *faults]) from error
    if taught is not None and (reason := _untaught(stage)):
        faults.append(Fault(f"{where}.{DISTILL}", reason))
    if faults:
        raise PlanError(faults)
    return stage


def _technique(
    kind: Any, values: dict[str, Any], where: str, schedules: Mapping[str, Any], also: Sequence[str] = ()
) -> Technique:
    code = _code(kind, where, [entry.name for entry in all_techniques()])
    if found := extends_faults(values, schedules, where):
        raise PlanError(found)
    technique: Technique = typed(code, values, where, also)
    return technique


def _code(kind: Any, where: str, known: list[str]) -> Any:
    """Return the class of a technique. PlanError, with the nearest of those `known`, if there is none."""
    file = technique_file(str(kind))
    if file is None and not is_dotted(kind):
        raise PlanError.of(f"{where}.technique", f"there is no {kind!r}; {suggestion(str(kind), known)} ({LIST})")
    return part(load_yaml(file)[TARGET] if file else kind, Technique, where)


def _distill(taught: Any, where: str, schedules: Mapping[str, Any]) -> tuple[Stage | None, list[Fault]]:
    """Return the distillation of a stage, None if there is none, and everything that is wrong with it."""
    if taught is None:
        return None, []
    if not isinstance(taught, dict):
        what = f"is {taught!r}; allowed: a mapping, e.g. `{{teacher: {{stage: train}}}}`, or null"
        return None, [Fault(where, what)]
    values, faults = dict(taught), []
    kind, known = values.pop("technique"), [each.name for each in all_techniques() if each.name.startswith(FAMILY)]
    if values.pop("training", None) is not None:
        faults.append(Fault(f"{where}.training", "has no place here: the trainings of the stage itself are scored"))
    try:
        if not hasattr(_code(kind, where, known), "objective"):
            others = ", ".join(each for each in known if each != kind)
            raise PlanError.of(f"{where}.technique", f"is {kind!r}, which cannot be lent; allowed: {others}")
        return Stage(DISTILL, kind, _technique(kind, values, where, schedules)), faults
    except PlanError as error:
        return None, [*faults, *error.faults]


def _untaught(stage: Stage) -> str:
    """Return why a stage has no use for a distillation, or nothing."""
    if isinstance(stage.technique, Distillation):
        return f"{stage.kind} brings an objective of its own; leave it out"
    if not any(trainings_in(stage.technique)):
        return f"{stage.kind} trains nothing here that could be scored; leave it out"
    return ""
