"""A dry run: the whole stack on untrained weights, without data and without training.

It finds what only the network can tell (a layer that does not exist, a ratio that empties one) before anything
is trained, and predicts parameters and MACs, which do not depend on the weights for most techniques. What else does
not is found by `forecast`, which runs dry twice.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from compressbench.core.data import holds_out
from compressbench.core.errors import Fault, PlanError, RunError
from compressbench.core.plan import Plan, PlannedStage
from compressbench.core.source import START, Source, sources_in
from compressbench.core.subject import Subject
from compressbench.metrics.macs import layer_table
from compressbench.running.applying import applied
from compressbench.running.cache import StageCache
from compressbench.running.decided import decided
from compressbench.running.dry_run_context import DryRunContext, move_from_zero
from compressbench.running.environment import CPU
from compressbench.running.fitting import check_fit
from compressbench.running.prediction import Count, broken_limits, of_the_network
from compressbench.running.sources import Load, subject_in_file, subject_of
from compressbench.running.start import start_subject, unfit_weights


def dry_run(
    plan: Plan, outputs: Path, device: torch.device = CPU, count: Count | None = None
) -> tuple[list[PlannedStage], list[Fault]]:
    """Return what every stage will do on `device`, and everything that would go wrong, including the budget.

    count: what looks at the network alone if left out.

    A stage that fails is left out for the stages after it, so that their faults are found too. PlanError if the network
    itself does not fit the task.
    """
    check_fit(plan)
    count = count or of_the_network(plan)
    stages, faults = play(plan, fresh_subject(plan), count)
    if stages:
        stages[-1].skipped += _not_counted(plan)
    faults += _dry_run_others(plan, stages, outputs, device)
    for stage, is_cached in zip(stages, _cached(decided(plan, device), outputs), strict=True):
        stage.cached = is_cached
    if reason := unfit_weights(plan):
        faults.append(Fault("model.weights", reason))
    limits = broken_limits(plan, stages, lambda: play(plan, other_subject(plan), count)[0])
    return stages, faults + _budget_faults(plan, stages) + limits


def _not_counted(plan: Plan) -> list[tuple[str, str]]:
    """Return (what, why) of every part of the network that no formula counts."""
    table = layer_table(plan.model.architecture.lay_out(), plan.dataset.task.example())
    return [
        (f"the MACs of {row['name']} ({row['kind']})", f"no formula for {', '.join(row['not_counted'])}")
        for row in table
        if "not_counted" in row
    ]


def fresh_subject(plan: Plan) -> Subject:
    """Return the plan's network as if its first training were over: untrained, but no parameter is zero any more."""
    subject = start_subject(replace(plan, model=replace(plan.model, weights=None)))
    move_from_zero(subject.model)
    return subject


def other_subject(plan: Plan) -> Subject:
    """Return the plan's network with weights unlike `fresh_subject`'s: given ones that lie here, else heavy-tailed."""
    if plan.model.weights_file is not None:
        try:
            return start_subject(plan)
        except RunError:  # which `dry_run` has said
            pass
    subject, generator = fresh_subject(plan), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in subject.model.parameters():
            drawn = torch.randn(parameter.shape, generator=generator) ** 3
            parameter.copy_(drawn * parameter.abs().mean() + 1e-9)
    return subject


def play(
    plan: Plan, subject: Subject, count: Count, earlier: dict[str, Load] | None = None
) -> tuple[list[PlannedStage], list[Fault]]:
    """Return what every stage does to the subject, and what the stages themselves refuse.

    earlier: is given what loads the result of each stage, by name.
    """
    earlier = {} if earlier is None else earlier
    task = plan.dataset.task
    example = task.example()
    # Every stage gets a clone, so what came out of the stages before stays as it was and is cloned on demand.
    earlier[START] = subject.clone
    stages, faults, predictable = [], [], True
    for stage in plan.stages:
        context = DryRunContext(task, earlier, plan.limits, holds_out(plan.dataset), partial(_elsewhere, plan))
        attempt = subject.clone()
        attempt.skipped = []
        planned = PlannedStage(stage.name, stage.kind, cached=False, epochs=0)
        try:
            subject = applied(stage, attempt, context)
        except ValueError as error:
            faults.append(Fault(f"stages.{stage.name}", str(error)))
        predictable = predictable and all(each.predictable for each in stage.techniques)
        planned.epochs = context.epochs
        if predictable:
            try:
                planned.counts = count(subject, example)
            except PlanError:
                raise
            except ValueError as error:
                faults.append(Fault(f"stages.{stage.name}", str(error)))
            planned.skipped = [(skipped.what, skipped.why) for skipped in subject.skipped]
        stages.append(planned)
        earlier[stage.name] = subject.clone
    return stages, faults


def _elsewhere(plan: Plan, source: Source) -> Subject:
    """Return what a file holds, or what a dry run makes of another recipe, whose own faults `dry_run` says."""
    if source.file:
        return subject_in_file(source, plan)
    other, earlier = plan.others[source.run], dict[str, Load]()
    play(other, fresh_subject(other), lambda subject, example: {}, earlier)
    return subject_of(Source(source.stage), earlier, partial(_elsewhere, other))


def _dry_run_others(plan: Plan, stages: list[PlannedStage], outputs: Path, device: torch.device) -> list[Fault]:
    """Say of each stage what those of other recipes that it reads will do; return what would go wrong there."""
    faults, seen = [], set[str]()
    for stage, planned in zip(plan.stages, stages, strict=True):
        for source in sources_in(stage):
            if source.run in plan.others and source.run not in seen:
                seen.add(source.run)
                found, own = dry_run(plan.others[source.run], outputs, device)
                planned.reads += [replace(each, name=f"{source.recipe}: {each.name}") for each in found]
                faults += [Fault(f"stages.{stage.name}", f"reads {source}; {fault}") for fault in own]
    return faults


def _cached(plan: Plan, outputs: Path) -> list[bool]:
    """Return which stages are there already. Nothing is if the data, or a file that a stage reads, is missing: they are
    part of the identity."""
    try:
        stage_ids = plan.stage_ids(plan.dataset.fingerprint())
    except ValueError:
        return [False] * len(plan.stages)
    cache = StageCache(outputs / "cache" / "stages")
    return [cache.find(stage_id) is not None for stage_id in stage_ids]


def _budget_faults(plan: Plan, stages: list[PlannedStage]) -> list[Fault]:
    """Return a fault for a limit that the planned epochs break, or that means nothing."""
    faults = []
    if plan.budget.accuracy_drop is not None and plan.before is None and plan.stages:
        first = plan.stages[0]
        why = f"no weights are given, and the first stage ({first.name}: {first.kind}) does not only train"
        hint = "begin with a stage of training/from_scratch, or give model.weights"
        faults.append(Fault("budget.accuracy_drop", f"there is no network before compression: {why}; {hint}"))
    epochs = sum(stage.epochs for stage in stages)
    if plan.budget.epochs is not None and epochs > plan.budget.epochs:
        faults.append(
            Fault("budget.epochs", f"the stages train for {epochs} epochs; the limit is {plan.budget.epochs}")
        )
    return faults
