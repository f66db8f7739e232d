"""The stages of one plan, computed where the cache lacks them, and those of other recipes that they read."""

from __future__ import annotations

import time
from functools import cached_property, partial

import torch

from compressbench.core.context import Progress
from compressbench.core.data import Splits
from compressbench.core.errors import PlanError, RunError, suggestion
from compressbench.core.observer import NOBODY, Observer
from compressbench.core.plan import Plan
from compressbench.core.source import START, Source, sources_in
from compressbench.core.subject import Subject
from compressbench.core.trainer import Trainer
from compressbench.running.applying import applied
from compressbench.running.cache import StageCache, StageResult
from compressbench.running.environment import environment
from compressbench.running.fitting import check_examples
from compressbench.running.progress import NamedProgress
from compressbench.running.sources import Load, subject_in_file
from compressbench.running.stage_context import StageContext
from compressbench.running.start import AS_GIVEN, seed_of, start_subject, started
from compressbench.training.autotuning import Setting


class Stages:
    """A decided plan's stages by number, -1 being the network as its weights were given.

    ids: of their results; -1 is the start's. results: what is known of those that were reached. others: the stages of
    other recipes, by what a source calls them (`Source.run`). like: of whoever reads these; its data is used again.
    """

    def __init__(
        self,
        plan: Plan,
        cache: StageCache,
        progress: Progress,
        device: torch.device,
        trainer: Trainer,
        observer: Observer = NOBODY,
        like: Stages | None = None,
    ):
        self.plan, self.cache, self.progress, self.device = plan, cache, progress, device
        self.trainer, self.observer, self.like = trainer, observer, like
        self.clock: float = like.clock if like else time.monotonic()
        self.seconds: float | None = like.seconds if like else plan.budget.seconds
        given = {} if plan.model.weights is None else {-1: AS_GIVEN}
        self.stages = {**given, **dict(enumerate(plan.stages))}
        self.fingerprint = self._fingerprint()
        self.ids = {-1: plan.start_id(self.fingerprint), **dict(enumerate(plan.stage_ids(self.fingerprint)))}
        self.results: dict[int, StageResult] = {}
        self.others = {
            name: Stages(other, cache, NamedProgress(progress, other.recipe), device, trainer, like=self)
            for name, other in plan.others.items()
        }

    @cached_property
    def splits(self) -> Splits:
        plan, like = self.plan, self.like
        if like is not None and (like.plan.dataset, like.plan.limits) == (plan.dataset, plan.limits):
            return like.splits
        splits = plan.dataset.load().limit(plan.limits.examples)
        check_examples(plan, splits)
        return splits

    def _fingerprint(self) -> str:
        """Return the data's fingerprint; data that is not there yet is loaded first, which may download it."""
        try:
            return self.plan.dataset.fingerprint()
        except PlanError:
            _ = self.splits
            return self.plan.dataset.fingerprint()

    def all_ids(self) -> set[str]:
        """Return the identities of all stages, those of other recipes too."""
        return set(self.ids.values()).union(*(other.all_ids() for other in self.others.values()))

    def reach(self, index: int) -> StageResult:
        """Have a stage's result in the cache, and return what is known of it; what it is made from is only looked for
        where it is missing. RunError if a stage cannot go on."""
        if index not in self.results:
            found = self.cache.find(self.ids[index])
            self.results[index] = found or self._found_or_computed(index)
        return self.results[index]

    def _found_or_computed(self, index: int) -> StageResult:
        self.prepare(index)
        stage_id = self.ids[index]
        with self.cache.lock(stage_id, f"waiting for another process that computes {self.named(index)}"):
            found = self.cache.find(stage_id) or self.cache.fetch(stage_id)
            if found is None:
                found = self.compute(index)
                self.cache.share(stage_id)
            return found

    def prepare(self, index: int) -> None:
        """Reach everything that a stage reads, before anybody waits for this one.

        Nobody who waits can be waited for: a stage's identity covers those of the stages that it reads, so these
        cannot read it."""
        if index - 1 in self.stages:
            self.reach(index - 1)
        for source in sources_in(self.stages[index]):
            if source.run in self.others:
                self.others[source.run].subject_at(source.stage)

    def named(self, index: int) -> str:
        """Return a stage in words."""
        return f"the stage {self.stages[index].name!r}" + (f" of {self.plan.recipe}" if self.like else "")

    def compute(self, index: int) -> StageResult:
        """Compute a stage and store it. Whoever calls holds its lock."""
        stage = self.stages[index]
        subject, how = started(self.plan) if index < 0 else (self.result_of(index - 1), "")
        subject.skipped = []
        context, clock = self._lend(index), time.monotonic()
        try:
            subject = applied(stage, subject, context)
            subject.model.cpu()
            seconds = round(time.monotonic() - clock, 3)
            if broken := subject.broken():
                raise ValueError(f"its result breaks what was promised: {'; '.join(map(str, broken))}")
            made_in = environment(self.device)
            setting = {**context.setting, "weights": how} if how else context.setting
            made_for = {"recipe": self.plan.recipe, "stage": stage.name, "seed": str(self.plan.seed)}
            result = StageResult({}, context.curve, subject.skipped, setting, made_in, seconds, made_for=made_for)
            self.cache.store(self.ids[index], subject, result)
        except PlanError:
            raise
        except RunError as error:
            if self.like:
                raise RunError(f"{self.plan.recipe}: {error}") from error
            raise
        except ValueError as error:
            where = f"{self.plan.recipe}: " if self.like else ""
            raise RunError(f"{where}stages.{stage.name} ({stage.kind}): {error}") from error
        return result

    def _lend(self, index: int) -> StageContext:
        earlier: dict[str, Load] = {START: partial(self.result_of, -1)}
        for number in range(index):
            earlier[self.stages[number].name] = partial(self.result_of, number)
        name, seconds = self.stages[index].name, self.seconds
        return StageContext(
            seed=seed_of(self.plan.seed, name),
            splits=self.splits,
            task=self.plan.dataset.task,
            progress=NamedProgress(self.progress, name),
            limits=self.plan.limits,
            checkpoints=self.cache.checkpoint_path(self.ids[index]),
            auto=Setting(*self.plan.auto.split()),
            device=self.device,
            earlier_stages=earlier,
            elsewhere=self._elsewhere,
            trainer=self.trainer,
            deadline=None if seconds is None else self.clock + seconds,
            on_epoch=partial(self.observer.reached, name),
        )

    def result_of(self, index: int) -> Subject:
        """Return a copy of what came out of a stage; -1 is the start."""
        if index < 0:
            return start_subject(self.plan)
        return self.cache.load(self.ids[index], self.reach(index))

    def subject_at(self, name: str) -> Subject:
        """Return a copy of what came out of the stage of this name, computed if need be; `start` is the start."""
        numbers = {START: -1, **{stage.name: number for number, stage in enumerate(self.plan.stages)}}
        if name not in numbers:
            raise ValueError(f"{self.plan.recipe} has no stage {name!r}; {suggestion(name, list(numbers))}")
        return self.result_of(numbers[name])

    def _elsewhere(self, source: Source) -> Subject:
        if source.file:
            return subject_in_file(source, self.plan)
        return self.others[source.run].subject_at(source.stage)
