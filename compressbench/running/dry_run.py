"""A dry run: the whole stack on untrained weights, without data and without training.

It finds what only the network can tell (a layer that does not exist, a ratio that empties one) before anything
is trained, and predicts parameters and MACs, which do not depend on the weights for most techniques. What else does
not is found by `forecast`, which runs dry twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from compressbench.core.data import holds_out
from compressbench.core.errors import Fault, PlanError, RunError, lack_of_memory
from compressbench.core.objective import Hook, Objective
from compressbench.core.plan import Limits, Plan, PlannedStage
from compressbench.core.source import START, Source
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, Loss, Task, feed
from compressbench.core.training import TrainingConfig
from compressbench.metrics.macs import layer_table
from compressbench.running.cache import StageCache
from compressbench.running.counting import counts_and_size
from compressbench.running.decided import decided
from compressbench.running.environment import CPU
from compressbench.running.fitting import check_fit
from compressbench.running.prediction import Count, broken_limits, of_the_network
from compressbench.running.progress import SilentProgress
from compressbench.running.sources import Load, subject_of
from compressbench.running.start import start_subject, unfit_weights
from compressbench.training.autotuning import PLAIN
from compressbench.training.loss import loss_of
from compressbench.training.scoring import scoring

MADE_UP = 0.5
"""What validation is said to give before anything is trained."""


@dataclass
class DryRunContext:
    """Lends everything a technique may ask for, but trains nothing: trainings are counted in epochs.

    held_out: whether training examples are held out for validation.
    """

    task: Task
    earlier_stages: Mapping[str, Load]
    limits: Limits
    held_out: bool
    epochs: int = 0

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.example = self.task.example()
        self.progress = SilentProgress()

    def train(
        self, subject: Subject, config: TrainingConfig, objective: Objective | None = None, hooks: Sequence[Hook] = ()
    ) -> Subject:
        config.factors(name for name, parameter in subject.model.named_parameters() if parameter.requires_grad)
        loss = loss_of(self.task, config)
        if objective is not None:
            self._try_out(objective, subject.model, loss)
        epochs = self.limits.cut(config.epochs)
        if epochs:
            move_from_zero(subject.model)
            subject.enforce()
        self.epochs += epochs
        return subject

    def _try_out(self, objective: Objective, model: nn.Module, loss: Loss) -> None:
        """Score two made-up examples. ValueError if that fails, as where a teacher has other classes."""
        ((inputs, targets),) = self.calibration(2, 1)
        model.eval()
        scored = scoring(objective, loss, model, PLAIN, CPU)
        with torch.no_grad(), torch.random.fork_rng(devices=[]), scored as score:
            try:
                score(inputs, feed(model, inputs), targets)
            except (RuntimeError, KeyError, AttributeError, TypeError) as error:
                raise ValueError(f"its objective cannot be computed: {str(error).splitlines()[0]}") from error

    def validate(self, subject: Subject) -> dict[str, float]:
        if not self.held_out:
            raise ValueError(
                "it chooses by validation, but no training examples are held out for that; allowed: a dataset that "
                "holds some out, with training.hold_out=true"
            )
        return {spec.name: MADE_UP for spec in self.task.specs}

    def count(self, subject: Subject) -> dict[str, int]:
        return counts_and_size(subject, self.example)

    def steps(self, config: TrainingConfig) -> int:
        return max(1, self.limits.cut(config.epochs))

    def calibration(self, batch_size: int, batches: int) -> Iterator[tuple[Inputs, Tensor]]:
        few = min(batch_size, 2)  # shapes are all that counts, and large inputs take long
        return iter([self.task.random_batch(few, torch.Generator().manual_seed(0))])

    def subject_of(self, source: Source) -> Subject:
        return subject_of(source, self.earlier_stages)


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


@torch.no_grad()
def move_from_zero(model: nn.Module) -> None:
    """Let no parameter that is trained be zero any more, in place, as after a training."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        zero = parameter == 0
        if parameter.requires_grad and bool(zero.any()):
            parameter[zero] = 0.01 + 0.01 * torch.rand(int(zero.sum()), generator=generator)


def play(plan: Plan, subject: Subject, count: Count) -> tuple[list[PlannedStage], list[Fault]]:
    """Return what every stage does to the subject, and what the stages themselves refuse."""
    task = plan.dataset.task
    example = task.example()
    # Every stage gets a clone, so what came out of the stages before stays as it was and is cloned on demand.
    earlier: dict[str, Load] = {START: subject.clone}
    stages, faults, predictable = [], [], True
    for stage in plan.stages:
        context = DryRunContext(task, earlier, plan.limits, holds_out(plan.dataset))
        attempt = subject.clone()
        attempt.skipped = []
        planned = PlannedStage(stage.name, stage.kind, cached=False, epochs=0)
        try:
            subject = stage.technique.apply(attempt, context)
        except ValueError as error:
            faults.append(Fault(f"stages.{stage.name}", str(error)))
        except Exception as error:  # what a technique does not expect of somebody else's network
            if plan.model.architecture.is_ours or lack_of_memory(error):
                raise
            what = f"{stage.kind} cannot work on {type(subject.model).__name__}: {type(error).__name__}: {error}"
            faults.append(Fault(f"stages.{stage.name}", what))
        predictable = predictable and stage.technique.predictable
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


def _cached(plan: Plan, outputs: Path) -> list[bool]:
    """Return which stages are there already. Nothing is if the data is missing: it is part of the identity."""
    try:
        stage_ids = plan.stage_ids(plan.dataset.fingerprint())
    except PlanError:
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
