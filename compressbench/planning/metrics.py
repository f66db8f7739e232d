"""The metrics of a plan, and what a recipe says in their names: limits and published figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from math import isfinite
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from compressbench.core.budget import LARGEST_DROP, Budget, Reference
from compressbench.core.errors import Fault, PlanError, suggestion
from compressbench.core.metric import Metric, MetricSpec
from compressbench.core.task import Task
from compressbench.planning.catalogue import group_file
from compressbench.planning.catalogue import metrics as all_metrics
from compressbench.planning.recipe import load_yaml
from compressbench.planning.schema import resolved, typed
from compressbench.planning.signature import part
from compressbench.planning.stages import TARGET, is_dotted

Metrics = tuple[tuple[str, Metric], ...]
LIMITS = "limits"
FIGURES = "figures"
LIST = "`metrics: [...]` of the recipe says what is measured"


def build_metrics(config: DictConfig) -> Metrics:
    """Return the metrics of a configuration, by name. PlanError with every one that is not there or cannot be built.

    `metrics` is a list of names, or of dotted paths of classes in a plugin; one with arguments is written
    `{latency: {batch_size: 64}}`.
    """
    if not isinstance(config.get("metrics"), ListConfig):
        what = f"is {config.get('metrics')!r}; allowed: a list of names, e.g. [accuracy, size]"
        raise PlanError.of("metrics", what)
    found: list[tuple[str, Metric]] = []
    faults: list[Fault] = []
    entries: Any = OmegaConf.to_container(config.metrics, resolve=True)
    for entry in entries:
        name, own = next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else (entry, {})
        try:
            found.append((str(name), _metric(str(name), own or {})))
        except PlanError as error:
            faults += error.faults
    if faults:
        raise PlanError(faults)
    return tuple(found)


def _metric(name: str, own: Mapping[str, Any]) -> Metric:
    file = group_file("metric", name)
    if file is None and not is_dotted(name):
        near = suggestion(name, [each.name for each in all_metrics()])
        raise PlanError.of("metrics", f"there is no {name!r}; {near}")
    values = {**(load_yaml(file) if file else {TARGET: name}), **own}
    made: Metric = typed(part(values.pop(TARGET), Metric, f"metrics.{name}"), values, f"metrics.{name}")
    return made


def specs_of(metrics: Metrics, task: Task) -> dict[str, MetricSpec]:
    """Return what the metrics say of their figures, by name. PlanError if two of them measure the same figure, or one
    is called as something else in a budget or a reference."""
    found: dict[str, MetricSpec] = {}
    by: dict[str, str] = {}
    faults = []
    for name, metric in metrics:
        for spec in metric.specs(task):
            if spec.name in found:
                faults.append(Fault("metrics", f"{by[spec.name]} and {name} both measure {spec.name}; leave one out"))
            if spec.name in RESERVED:
                faults.append(Fault(f"metrics.{name}", f"measures {spec.name!r}, a word of budgets or references"))
            found[spec.name], by[spec.name] = spec, name
    if faults:
        raise PlanError(faults)
    return found


def build_budget(config: DictConfig, specs: Mapping[str, MetricSpec] | None, task: Task) -> Budget:
    """Return the budget of a configuration. PlanError with every limit that is none, or that nothing could be held to.

    specs: of the plan's metrics; None if they are not known, so that only the values can be checked.
    """
    words, limits = _parted(config, "budget", Budget, LIMITS)
    faults: list[Fault] = []
    limited = _each(limits, "budget", lambda name, value: _limit(name, value, specs, task), faults)
    primary = specs.get(task.primary) if specs is not None else None
    if words.get("accuracy_drop") is not None and specs is not None and primary is None:
        what = f"is about {task.primary}, which is not among the plan's metrics; {LIST}"
        faults.append(Fault("budget.accuracy_drop", what))
    try:
        budget: Budget = replace(typed(Budget, words, "budget"), limits=limited)
        faults += _drop_faults(budget.accuracy_drop, primary)
    except PlanError as error:
        faults += error.faults
    if faults:
        raise PlanError(faults)
    return budget


def build_reference(config: DictConfig, specs: Mapping[str, MetricSpec] | None, task: Task) -> Reference:
    """Return the published figures of a configuration. PlanError with everything that is wrong with them.

    They need not be among the plan's metrics, for whoever measures less keeps them, but some metric must measure them.
    specs: as in `build_budget`.
    """
    words, figures = _parted(config, "reference", Reference, FIGURES)
    faults: list[Fault] = []
    values = _each(figures, "reference", lambda name, value: float(_number(value)), faults)
    printed = {f"reference.{name}": name for name in figures}
    for key in ("before", "tolerance", "corrected"):
        if isinstance(words.get(key), dict):  # null takes back what an extended recipe says
            words[key] = {name: value for name, value in words[key].items() if value is not None}
        printed |= {f"reference.{key}.{name}": name for name in words.get(key) or {}}
    for where, name in printed.items() if specs is not None else ():
        if specs is not None and name not in specs and _metric_of(name, task) is None:
            near = suggestion(name, [*_words(Reference, FIGURES), *specs])
            faults.append(Fault(where, f"there is no such key; {near}"))
    try:
        reference: Reference = replace(typed(Reference, words, "reference"), figures=values)
    except PlanError as error:
        faults += error.faults
    if faults:
        raise PlanError(faults)
    return reference


def without_data(budget: Budget, task: Task | None) -> Budget:
    """Return the budget without what a network that has learned nothing cannot keep."""
    scored = {spec.name for spec in task.specs} if task else set()
    kept = {name: limit for name, limit in budget.limits.items() if name not in scored}
    return replace(budget, limits=kept, accuracy_drop=None)


def _each(
    values: Mapping[str, Any], node: str, typed_value: Callable[[str, Any], float], faults: list[Fault]
) -> dict[str, float]:
    """Return the values that are given, typed; what is wrong with the others is added to `faults`."""
    found: dict[str, float] = {}
    for name, value in values.items():
        try:
            number = typed_value(name, 0 if value is None else value)
            found |= {name: number} if value is not None else {}
        except ValueError as error:
            faults.append(Fault(f"{node}.{name}", str(error)))
    return found


def _words(cls: type, mapping: str) -> list[str]:
    return [own.name for own in fields(cls) if own.name != mapping]  # type: ignore[arg-type]


RESERVED = frozenset({*_words(Budget, LIMITS), *_words(Reference, FIGURES)})


def _parted(config: DictConfig, key: str, cls: type, mapping: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keys of a node that are fields of the class, and those that are names of metrics."""
    node = config.get(key)
    if not isinstance(node, DictConfig):
        raise PlanError.of(key, f"is {node!r}; allowed: a mapping")
    values, words = resolved(node, key), _words(cls, mapping)
    named = {name: value for name, value in values.items() if name not in words}
    return {name: value for name, value in values.items() if name in words}, named


def _limit(name: str, value: Any, specs: Mapping[str, MetricSpec] | None, task: Task) -> float:
    """Return a limit as a number in the range of its unit. ValueError if it is none, or nothing it could be held to."""
    number = _number(value)
    if specs is None:
        return number
    limitable = [each for each, spec in specs.items() if spec.limit]
    if name not in specs:
        metric = _metric_of(name, task)
        if metric is None:
            raise ValueError(f"there is no such limit; {suggestion(name, [*_words(Budget, LIMITS), *limitable])}")
        raise ValueError(f"is measured by {metric!r}, which is not among the plan's metrics; add it ({LIST})")
    if name not in limitable:
        raise ValueError(f"no budget may limit it; allowed: {', '.join(limitable) or 'nothing that is measured'}")
    allowed, fits = "a finite number", isfinite(number)
    if specs[name].unit == "fraction":
        allowed, fits = "0 to 1 (fractions: 0.7 is 70 percent)", 0 <= number <= 1
    elif specs[name].unit in ("count", "bytes"):
        allowed, fits = "a whole number, 0 or more", fits and number >= 0 and number == int(number)
        number = int(number) if fits else number
    if not fits:
        raise ValueError(f"is {value!r}; allowed: {allowed}")
    return number


def _number(value: Any) -> float:
    """Return the value if it is a number. ValueError if it is anything else, truths and texts included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"is {value!r}; a number or null is needed")
    return value


def _drop_faults(drop: float | None, primary: MetricSpec | None) -> list[Fault]:
    if drop is None or primary is None or primary.unit != "fraction" or -1 <= drop <= LARGEST_DROP:
        return []
    allowed = f"-1 to {LARGEST_DROP} (fractions: 0.01 is one point)"
    return [Fault("budget", f"accuracy_drop is {drop!r}; allowed: {allowed}")]


def _metric_of(figure: str, task: Task) -> str | None:
    """Return the metric of the catalogue that measures a figure with its own defaults, if one does. It is looked for
    only where the plan's own metrics do not measure it."""
    for entry in all_metrics():
        try:
            if any(spec.name == figure for spec in _metric(entry.name, {}).specs(task)):
                return entry.name
        except PlanError:  # it cannot be built here, as without an extra
            continue
    return None
