"""The recipes that stages read, such as a teacher's: composed with this run's data, seed, training and limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from omegaconf import DictConfig

from compressbench.core.budget import Budget, Reference
from compressbench.core.errors import Fault, PlanError, suggestion
from compressbench.core.plan import Plan, Stage
from compressbench.core.source import START, Source, sources_in
from compressbench.planning.compose import CONFIG_DIR, compose
from compressbench.planning.overrides import node_of

SHARED = ("dataset", "training", "limits", "seed", "debug")
"""What another recipe takes from this run, unless the source's overrides say it."""

Chain = tuple[str, ...]
"""The recipes that are being read, each for the one before it, with the stage."""
Build = Callable[[DictConfig, Sequence[str], Chain], tuple[Plan | None, list[Fault]]]


def other_plans(
    config: DictConfig, stages: Sequence[Stage], build: Build, chain: Chain
) -> tuple[dict[str, Plan], list[Fault]]:
    """Return the part of each recipe that a stage reads, by `Source.run`, and everything that is wrong with them.

    build: makes a plan of a configuration. chain: what is being read already, so that nothing reads itself.
    """
    plans: dict[str, Plan] = {}
    faults: list[Fault] = []
    for stage in stages:
        for source in sources_in(stage):
            if not source.recipe or source.run in plans:
                continue
            try:
                plan, found = _plan(config, source, build, chain)
            except PlanError as error:
                plan, found = None, list(error.faults)
            if plan is not None:
                plans[source.run] = plan
            own = [fault for fault in found if _said(source, fault.where)]
            faults += [Fault(f"stages.{stage.name}", f"reads {source}; {fault}") for fault in own]
    return plans, faults


def _plan(config: DictConfig, source: Source, build: Build, chain: Chain) -> tuple[Plan | None, list[Fault]]:
    overrides = [f"recipe={source.recipe}", *source.overrides]
    other = compose(overrides, config.chosen.get(CONFIG_DIR))
    link = f"{other.recipe}: {source.stage}"
    if link in chain:
        raise PlanError.of("recipe", f"reads itself: {' reads '.join([*chain[chain.index(link) :], link])}")
    for key in SHARED:
        if not any(node_of(override) == key for override in source.overrides):
            other[key] = config.get(key)
            if key in config.chosen:
                other.chosen[key] = config.chosen[key]
    other.metrics, other.budget, other.reference = [], {}, {}
    names = list(map(str, other.stages))
    if source.stage not in (START, *names):
        raise PlanError.of("recipe", f"it has no stage {source.stage!r}; {suggestion(source.stage, [START, *names])}")
    wanted = names[: names.index(source.stage) + 1] if source.stage != START else []
    other.stages = {name: other.stages._get_node(name) for name in wanted}
    plan, faults = build(other, overrides, (*chain, link))
    return (None if plan is None else replace(plan, budget=Budget(), reference=Reference())), faults


def _said(source: Source, where: str) -> bool:
    """Return whether a fault is about what the source says, and not about what it shares with this run."""
    node = where.partition(".")[0]
    return node not in SHARED or any(node_of(override) == node for override in source.overrides)
