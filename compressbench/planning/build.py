"""From a composed configuration to a typed plan, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from omegaconf import DictConfig, OmegaConf

from compressbench.core.data import Dataset
from compressbench.core.errors import Fault, PlanError
from compressbench.core.model import Model
from compressbench.core.plan import Limits, Plan
from compressbench.core.plugins import use
from compressbench.core.structure import flatten
from compressbench.core.task import Task
from compressbench.planning.held_out import choice_faults, nothing_held_out
from compressbench.planning.metrics import build_budget, build_metrics, build_reference, specs_of, without_data
from compressbench.planning.network import build_model
from compressbench.planning.order import order_faults
from compressbench.planning.others import Chain, other_plans
from compressbench.planning.overrides import changed, changes_training
from compressbench.planning.protocol import SMOKE, protocol
from compressbench.planning.schema import resolved, typed
from compressbench.planning.settings import Schedules, Settings, key_faults, settings
from compressbench.planning.signature import part
from compressbench.planning.smoke import is_smoke, smoke_dataset, smoke_limits
from compressbench.planning.stage import build_stage
from compressbench.planning.stages import TARGET


def build(
    config: DictConfig, overrides: Sequence[str] = (), plain: Settings | None = None, chain: Chain = ()
) -> tuple[Plan | None, list[Fault]]:
    """Return the plan of a composed configuration, and everything that is wrong.

    config: as `compose` returns it. overrides: what was written on the command line; the protocol hangs on it.
    plain: its plain keys, if they were typed before. chain: what reads this recipe, see `other_plans`.
    The plan is there whenever all its parts could be built, even if the data is missing or the order is
    impossible; it may only be run if there is no fault.
    """
    faults, config = key_faults(config), _own_copy(config)

    attempt = partial(_attempt, faults)
    plain = plain or attempt(settings, config)
    schedules, limits = attempt(_node, config, "training", Schedules), attempt(_node, config, "limits", Limits)
    dataset = attempt(build_dataset, config)
    if dataset and schedules and not schedules.hold_out:
        dataset, own = nothing_held_out(dataset, overrides)
        faults += own
    given = dataset
    if is_smoke(config) and dataset and limits:
        dataset, limits = attempt(smoke_dataset, config, dataset), smoke_limits(config, limits)
    elif dataset and (reason := dataset.missing()):
        faults.append(Fault("dataset", reason))
    model = attempt(build_model, config, dataset)
    stages = [attempt(build_stage, config, name) for name in config.stages]
    metrics, task = attempt(build_metrics, config), getattr(dataset, "task", None)
    specs = attempt(specs_of, metrics, task) if metrics is not None and task else None
    budget, reference = (attempt(make, config, specs, task) for make in (build_budget, build_reference))
    if given and schedules:
        faults += choice_faults([stage for stage in stages if stage], given, schedules.hold_out)
    if None not in stages and model is not None:
        faults += order_faults(stages, trained=model.weights is not None)
        faults += [] if stages or chain else _nothing_to_measure(config, model)
    others, own = other_plans(config, [stage for stage in stages if stage], _of_another, chain)
    faults += own
    parts = (config.recipe, plain, model, dataset, schedules, limits, budget, reference, metrics, *stages)
    if own or any(part is None for part in parts):
        return None, faults
    by_hand = changes_training(overrides) or limits != Limits()
    label = SMOKE if is_smoke(config) else protocol(stages, schedules, reference, by_hand)
    if is_smoke(config):
        model, budget = replace(model, weights=None), without_data(budget, task)
    plan = Plan(config.recipe, model, dataset, tuple(stages), metrics, plain.seed, label, limits, budget, reference)
    plan = replace(plan, others=others)
    return replace(plan, changed=changed(overrides, flatten(plan.as_dict()))), faults


def _attempt(faults: list[Fault], make: Callable[..., Any], *arguments: Any) -> Any:
    """Return what is made, or None, with what is wrong added to `faults`."""
    try:
        return make(*arguments)
    except PlanError as error:
        faults.extend(error.faults)
        return None


def _nothing_to_measure(config: DictConfig, model: Model) -> list[Fault]:
    """Return the fault of a recipe without stages, unless it has weights to measure."""
    if model.weights is not None and not is_smoke(config):
        return []
    without = "debug=smoke takes no weights" if model.weights else "model.weights is null"
    return [Fault("stages", f"there are none, and {without}, so there is nothing to measure")]


def _of_another(config: DictConfig, overrides: Sequence[str], chain: Chain) -> tuple[Plan | None, list[Fault]]:
    return build(config, overrides, chain=chain)


def _own_copy(config: DictConfig) -> DictConfig:
    config = config.copy()
    OmegaConf.set_struct(config, False)
    for key in ("stages", "budget", "reference", "limits"):
        if not isinstance(config.get(key), DictConfig):
            config[key] = {}
    return config


def _node(config: DictConfig, key: str, cls: type) -> Any:
    node = config.get(key)
    if not isinstance(node, DictConfig):
        raise PlanError.of(key, f"is {node!r}; allowed: a mapping")
    return typed(cls, resolved(node, key), key)


def build_dataset(config: DictConfig) -> Dataset:
    """Return the dataset of a configuration. PlanError with everything that is wrong with its node."""
    kind, values = dataset_class(config), resolved(config.dataset, "dataset")
    values.pop(TARGET, None)
    for key, value in values.items():
        named = value.get(TARGET) if isinstance(value, dict) else None
        if isinstance(named, str) and key == "task":
            own = {name: each for name, each in value.items() if name != TARGET}
            values[key] = typed(part(named, Task, "dataset.task"), own, "dataset.task")
        elif isinstance(named, str):
            use(named)
    dataset: Dataset = typed(kind, values, "dataset")
    return dataset


def dataset_class(config: DictConfig) -> Any:
    """Return the class of a configuration's dataset. PlanError if none is named, or code that is not ours."""
    if not isinstance(config.get("dataset"), DictConfig):
        raise PlanError.of("dataset", "none is named; e.g. `dataset: mnist` (`compressbench list datasets` shows all)")
    return part(str(config.dataset.get(TARGET, "")), Dataset, "dataset")
