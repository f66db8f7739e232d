"""Plan: everything a run will do, typed and checked. A plan is made by `planning` and carried out by `running`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from compressbench.core.before import index_before
from compressbench.core.budget import Budget, Reference
from compressbench.core.data import Dataset
from compressbench.core.dotted import dotted_path
from compressbench.core.errors import out_of_range
from compressbench.core.identity import digest, essence, origin, raised
from compressbench.core.metric import Metric, MetricSpec
from compressbench.core.model import Model
from compressbench.core.plugins import plugin_of
from compressbench.core.source import START, Source, sources_in
from compressbench.core.stage import Stage as Stage
from compressbench.core.stage import shown_fields
from compressbench.core.task import Task
from compressbench.core.technique import Technique
from compressbench.core.training import LOOP_VERSION, trainings_in


@dataclass(frozen=True)
class Limits:
    """Cuts on the work, for trying things out: at most so many epochs, optimizer steps an epoch, examples a
    split."""

    epochs: int | None = None
    steps: int | None = None
    examples: int | None = None

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if value is not None and value < 1:
                raise out_of_range(key, value, "1 or more, or null for no limit")

    def cut(self, epochs: int) -> int:
        """Return how many of so many epochs are done."""
        return epochs if self.epochs is None else min(epochs, self.epochs)


@dataclass(frozen=True)
class Plan:
    """A run, complete. Nothing in it is read from anywhere else while it runs.

    recipe: name below `recipes/`; its folder is the table, its last part the row.
    protocol: the schedule of conf/training that the training keeps to (`steps_160`, `reduced`, ...), `custom` if it
        keeps to none, `smoke`, or empty for a recipe that is no paper's row or trains nothing by a schedule.
    model, dataset, stages, seed and limits decide what comes out; metrics, budget and reference look at it.
    auto: what `precision: auto` means for this network on the device it runs on ("fp32 contiguous"), the same for all
    of its trainings; empty as long as no device is known. The runner decides it before anything is computed.
    changed: (key, value) of what was written over the recipe; only a name for what the others hold.
    others: the parts of other recipes whose stages ours read, up to the stage that is read, by `Source.run`.
    """

    recipe: str
    model: Model
    dataset: Dataset
    stages: tuple[Stage, ...]
    metrics: tuple[tuple[str, Metric], ...]
    seed: int
    protocol: str
    limits: Limits = Limits()
    budget: Budget = field(default_factory=Budget)
    reference: Reference = field(default_factory=Reference)
    auto: str = ""
    changed: tuple[tuple[str, str], ...] = ()
    others: dict[str, Plan] = field(default_factory=dict)

    @property
    def table(self) -> str:
        """The folder of the recipe, `.` for a recipe that lies in none."""
        return self.recipe.rpartition("/")[0] or "."

    @property
    def row(self) -> str:
        return self.recipe.rpartition("/")[2]

    @property
    def before(self) -> int | None:
        """Which network is the one before compression, as `core.before.index_before` says."""
        return index_before([stage.kind for stage in self.stages], self.model.weights is not None)

    @property
    def task(self) -> Task:
        return self.dataset.task

    @property
    def metric_specs(self) -> dict[str, MetricSpec]:
        """What the metrics say of their figures, by name, in the order of tables."""
        return {spec.name: spec for _, metric in self.metrics for spec in metric.specs(self.task)}

    @property
    def predicted(self) -> list[MetricSpec]:
        """What can be known before a run and has a column, as long as no technique hangs on trained weights."""
        found = [metric for _, metric in self.metrics if getattr(metric, "predictable", False)]
        return [spec for metric in found for spec in metric.specs(self.task) if spec.heading]

    def start_id(self, fingerprint: str = "") -> str:
        """Return the identity of the network before the first stage: of how it is built, the weights that are given,
        the data (its `fingerprint`), the seed and the limits."""
        data = [type(self.dataset).__name__, essence(self.dataset), fingerprint, *raised(self.dataset)]
        network = [essence(self.model.architecture), self.model.weights_id(), *origin(self.model.architecture.target)]
        return digest([*network, data, self.seed, essence(self.limits)])

    def stage_ids(self, fingerprint: str = "") -> tuple[str, ...]:
        """Return the identity of each stage's result, in order.

        It covers the start and every stage up to and including its own; the versions of their code; for a stage that
        trains anywhere with `precision: auto` what that was decided to be; and all that a stage reads: the stages that
        there are form a graph of identities.
        """
        last = self.start_id(fingerprint)
        ids = {START: last}
        for stage in self.stages:
            link = [last, stage.name, *self._link(stage, ids, fingerprint)]
            if stage.distill is not None:
                link += ["distill", *self._link(stage.distill, ids, fingerprint)]
            ids[stage.name] = last = digest(link)
        return tuple(ids.values())[1:]

    def _link(self, stage: Stage, ids: dict[str, str], fingerprint: str) -> list[Any]:
        """Return what a stage's technique adds to an identity. ids: of what it may read, by name."""
        technique = stage.technique
        link = [stage.kind, technique.version, essence(technique), *origin(dotted_path(type(technique)))]
        link += [self._id_of(source, ids, fingerprint) for source in sources_in(technique)]
        return link + self._how_it_trains(technique)

    def reads(self, stage: Stage, fingerprint: str = "") -> dict[str, str]:
        """Return the identity of every result that a stage reads beside the one before it, by what it is in words."""
        sources = list(sources_in(stage))
        if not sources:
            return {}
        ids = dict(zip((each.name for each in self.stages), self.stage_ids(fingerprint), strict=True))
        ids[START] = self.start_id(fingerprint)
        return {str(source): self._id_of(source, ids, fingerprint) for source in sources}

    def _id_of(self, source: Source, ids: dict[str, str], fingerprint: str) -> str:
        """Return the identity of what is read. ids: of this plan's stages, by name."""
        if source.file:
            return source.file_id()
        if not source.recipe:
            return ids.get(source.stage, "")  # a dry run says that there is none
        other = self.others[source.run]
        if other.dataset != self.dataset and fingerprint:
            fingerprint = other.dataset.fingerprint()
        return [other.start_id(fingerprint), *other.stage_ids(fingerprint)][-1]

    def _how_it_trains(self, technique: Technique) -> list[Any]:
        """Return what decides the trainings of a technique beside its fields; nothing for one that does not train."""
        precisions = {training.precision for training in trainings_in(technique)}
        version = [LOOP_VERSION] if precisions and LOOP_VERSION > 1 else []
        return version + ([self.auto] if "auto" in precisions and self.auto else [])

    def plan_id(self) -> str:
        """Return the identity of the whole run: the recipe, its last stage's identity and what is measured."""
        measured = [[name, essence(metric), *raised(metric)] for name, metric in self.metrics]
        return digest([self.recipe, [self.start_id(), *self.stage_ids()][-1], measured])

    def plugins(self) -> dict[str, str]:
        """Return the version of every plugin whose code the plan names, by the plugin's name."""
        techniques = (each for stage in self.stages for each in stage.techniques)
        parts = [self.dataset, *techniques, *(metric for _, metric in self.metrics)]
        named = [self.model.architecture.target, *(dotted_path(type(part)) for part in parts)]
        found = {plugin.name: plugin.version for dotted in named if (plugin := plugin_of(dotted))}
        for other in self.others.values():
            found |= other.plugins()
        return dict(sorted(found.items()))

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-able data, complete, enough to see what was run. `plugins`: only if it names any."""
        plugins = self.plugins()
        return {
            "recipe": self.recipe,
            "protocol": self.protocol,
            "seed": self.seed,
            "model": self.model.as_dict(),
            "dataset": {"name": self.dataset.name, **shown_fields(self.dataset)},
            "stages": {stage.name: stage.as_dict() for stage in self.stages},
            "metrics": [name for name, _ in self.metrics],
            "limits": shown_fields(self.limits),
            "budget": self.budget.as_dict(),
            **({"plugins": plugins} if plugins else {}),
        }


@dataclass
class PlannedStage:
    """What a stage will do, found without training. cached: its result is there already.

    counts: predicted figures by metric; those that depend on trained weights are left out, and those of the packed
    file are without its note. seconds: what earlier runs suggest, None if there were none. skipped: (what, why) of
    every part it will leave out. reads: stages of other recipes, which must be there before it.
    """

    name: str
    kind: str
    cached: bool
    epochs: int
    counts: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    skipped: list[tuple[str, str]] = field(default_factory=list)
    reads: list[PlannedStage] = field(default_factory=list)
