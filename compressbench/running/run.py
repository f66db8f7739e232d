"""A plan becomes a record: stage after stage, each stored and measured."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

import torch

from compressbench.core.atomic import write_atomically
from compressbench.core.context import Progress
from compressbench.core.data import Splits
from compressbench.core.errors import PlanError, RunError
from compressbench.core.metric import Metric
from compressbench.core.observer import NOBODY, Observer
from compressbench.core.plan import Plan
from compressbench.core.record import RunRecord, StageRecord
from compressbench.core.sealed import file_digest
from compressbench.core.source import START
from compressbench.core.subject import Subject
from compressbench.core.trainer import Trainer
from compressbench.metrics.macs import layer_table
from compressbench.packing import packed_file
from compressbench.packing.inspect import tensor_table
from compressbench.running.budget import missed_limits
from compressbench.running.cache import StageCache, StageResult
from compressbench.running.decided import decided
from compressbench.running.environment import CPU, environment
from compressbench.running.evaluate import evaluate, metric_key, missing_metrics, reads_file
from compressbench.running.finished import whole_record
from compressbench.running.fitting import check_examples
from compressbench.running.folders import WEIGHTS, run_folder, write_record
from compressbench.running.in_use import relying_on
from compressbench.running.progress import NamedProgress
from compressbench.running.provenance import sign
from compressbench.running.recorded import bring_up_to_date, run_record, stage_record
from compressbench.running.sources import Load
from compressbench.running.stage_context import StageContext
from compressbench.running.start import AS_GIVEN, seed_of, start_subject, started
from compressbench.training.autotuning import Setting
from compressbench.training.loop import train


def run(
    plan: Plan,
    outputs: Path,
    progress: Progress,
    device: torch.device = CPU,
    observer: Observer = NOBODY,
    trainer: Trainer = train,
) -> RunRecord:
    """Carry out a plan and return its record; both the record and the final file are on the disk by then.

    Whatever is stored below `outputs` from an earlier run is used: a finished run trains nothing.
    observer: told of the start, of every epoch and of every stage, but not of a run that is finished already.
    trainer: carries the trainings out; this process, if left out.
    Raises RunError if a stage cannot go on (a record with the status `failed` is written first).
    """
    runner = Run(plan, outputs, progress, device, observer, trainer)
    with relying_on(runner.ids.values(), outputs / "cache"):
        return runner.execute()


class Run:
    """One plan being carried out. `results` holds what is known of the stages done so far, by their number.

    If weights are given, stage -1 stores and measures the network as it is.
    """

    def __init__(
        self,
        plan: Plan,
        outputs: Path,
        progress: Progress,
        device: torch.device,
        observer: Observer,
        trainer: Trainer = train,
    ):
        self.plan = plan = decided(plan, device)
        self.outputs, self.progress, self.device = outputs, progress, device
        self.observer, self.trainer = observer, trainer
        self.cache = StageCache(outputs / "cache" / "stages")
        self.folder = run_folder(outputs, plan)
        self.fingerprint = self._fingerprint()
        given = {} if plan.model.weights is None else {-1: AS_GIVEN}
        self.stages = {**given, **dict(enumerate(plan.stages))}
        self.ids = {-1: plan.start_id(self.fingerprint), **dict(enumerate(plan.stage_ids(self.fingerprint)))}
        self.results: dict[int, StageResult] = {}
        self.was_cached: dict[int, bool] = {}
        self.started, self.clock = datetime.now(UTC), time.monotonic()

    @cached_property
    def splits(self) -> Splits:
        splits = self.plan.dataset.load().limit(self.plan.limits.examples)
        check_examples(self.plan, splits)
        return splits

    def _fingerprint(self) -> str:
        """Return the data's fingerprint; data that is not there yet is loaded first, which may download it."""
        try:
            return self.plan.dataset.fingerprint()
        except PlanError:
            _ = self.splits
            return self.plan.dataset.fingerprint()

    def execute(self) -> RunRecord:
        found = self._finished()
        if found is not None:
            return found
        self.observer.started(self._record("running"), self.folder)
        try:
            for index in self.stages:
                self._stage(index)
        except RunError as error:
            self._write(self._record("failed", str(error)))
            raise
        record = self._record("finished")
        final = self.cache.model_path(record.final.stage_id)
        write_atomically(self.folder / WEIGHTS, final.read_bytes())
        record.layers = layer_table(packed_file.read(final).model, self.plan.dataset.task.example())
        record.tensors = tensor_table(final)
        record.missed = missed_limits(self.plan.budget, record)
        record.digests = {WEIGHTS: file_digest(self.folder / WEIGHTS)}
        self._write(record)
        return record

    def _finished(self) -> RunRecord | None:
        """Return the record of this very run if it is there, with today's names, references and budget."""
        record = whole_record(self.folder)
        if record is None or [stage.stage_id for stage in record.networks] != [self.ids[n] for n in self.stages]:
            return None
        before = record.to_json()
        bring_up_to_date(record, self.plan)
        if record.to_json() != before:
            self._write(record)
        return record

    def _stage(self, index: int) -> None:
        stage, stage_id = self.stages[index], self.ids[index]
        with self.cache.lock(stage_id, f"waiting for another process that computes the stage {stage.name!r}"):
            result = self.cache.find(stage_id)
            self.was_cached[index] = result is not None
            if result is None:
                result = self._compute(index)
            if missing := missing_metrics(self.plan.metrics, self.plan.task, result):
                self._measure(index, result, missing)
            self.results[index] = result
            self._tell(index)

    def _tell(self, index: int) -> None:
        stage = self._stage_record(index)
        for figures in [*(stage.curve if stage.cached else []), stage.metrics]:
            self.observer.reached(stage.name, figures)

    def _compute(self, index: int) -> StageResult:
        stage = self.stages[index]
        subject, how = started(self.plan) if index < 0 else (self._result_of(index - 1), "")
        subject.skipped = []
        context, clock = self._lend(index), time.monotonic()
        try:
            subject = stage.technique.apply(subject, context)
            subject.model.cpu()
            seconds = round(time.monotonic() - clock, 3)
            if broken := subject.broken():
                raise ValueError(f"its result breaks what was promised: {'; '.join(map(str, broken))}")
            made_in = environment(self.device)
            setting = {**context.setting, "weights": how} if how else context.setting
            result = StageResult({}, context.curve, subject.skipped, setting, made_in, seconds)
            self.cache.store(self.ids[index], subject, result)
        except PlanError:
            raise
        except ValueError as error:
            raise RunError(f"stages.{stage.name} ({stage.kind}): {error}") from error
        return result

    def _measure(self, index: int, result: StageResult, missing: list[tuple[str, Metric]]) -> None:
        """Add what is not measured yet. Every figure comes from the network decoded from its file. RunError if one is
        not to be had.

        The first figures are noted in the file; then come the metrics that look at the file itself.
        """
        file = self.cache.model_path(self.ids[index])
        decoded = packed_file.read(file)
        missing.sort(key=lambda named: reads_file(named[1]))
        with self.progress.task(f"{self.stages[index].name}: measure", len(missing)) as advance:
            for name, metric in missing:
                if reads_file(metric):
                    sign(file, self.plan, index, result)
                task, test = self.plan.dataset.task, self.splits.test
                baseline = partial(self._baseline, index)
                found = evaluate([(name, metric)], decoded, file, test, task, self.device, baseline)
                result.measured[metric_key(metric)] = {each.name: each.value for each in found}
                advance(1, name)
        sign(file, self.plan, index, result)
        self.cache.update(self.ids[index], result)

    def _baseline(self, index: int) -> Subject:
        """Return the network before compression; where there was none, or for the start itself, the start."""
        if self.plan.before == 0 and index >= 0:
            return packed_file.read(self.cache.model_path(self.ids[0]))
        return start_subject(self.plan)

    def _lend(self, index: int) -> StageContext:
        earlier: dict[str, Load] = {START: partial(self._result_of, -1)}
        for number in range(index):
            earlier[self.stages[number].name] = partial(self._result_of, number)
        stage_id, seconds = self.ids[index], self.plan.budget.seconds
        return StageContext(
            seed=seed_of(self.plan.seed, self.stages[index].name),
            splits=self.splits,
            task=self.plan.dataset.task,
            progress=NamedProgress(self.progress, self.stages[index].name),
            limits=self.plan.limits,
            checkpoints=self.cache.checkpoint_path(stage_id),
            auto=Setting(*self.plan.auto.split()),
            device=self.device,
            earlier_stages=earlier,
            trainer=self.trainer,
            deadline=None if seconds is None else self.clock + seconds,
            on_epoch=partial(self.observer.reached, self.stages[index].name),
        )

    def _result_of(self, index: int) -> Subject:
        """Return a copy of what came out of a stage; -1 is the start."""
        if index < 0:
            return start_subject(self.plan)
        return self.cache.load(self.ids[index], self.results[index])

    def _record(self, status: str, error: str = "") -> RunRecord:
        return run_record(
            self.plan,
            self.fingerprint,
            self.splits,
            environment=environment(self.device),
            stages=[self._stage_record(index) for index in self.results if index >= 0],
            given=self._stage_record(-1) if -1 in self.results else None,
            status=status,
            error=error,
            started=self.started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self.clock, 3),
        )

    def _stage_record(self, index: int) -> StageRecord:
        stage, cached = self.stages[index], self.was_cached[index]
        return stage_record(stage, self.ids[index], self.results[index], self.plan.metrics, cached)

    def _write(self, record: RunRecord) -> None:
        write_record(record, self.folder)
