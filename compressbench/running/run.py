"""A plan becomes a record: stage after stage, each stored and measured."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch

from compressbench.core.atomic import write_atomically
from compressbench.core.context import Progress
from compressbench.core.errors import RunError
from compressbench.core.metric import Metric
from compressbench.core.observer import NOBODY, Observer
from compressbench.core.plan import Plan
from compressbench.core.record import RunRecord, StageRecord
from compressbench.core.sealed import file_digest
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
from compressbench.running.folders import WEIGHTS, run_folder, write_record
from compressbench.running.in_use import relying_on
from compressbench.running.provenance import sign
from compressbench.running.recorded import bring_up_to_date, run_record, stage_record
from compressbench.running.shared_cache import SharedCache
from compressbench.running.stages import Stages
from compressbench.running.start import start_subject
from compressbench.training.loop import train


def run(
    plan: Plan,
    outputs: Path,
    progress: Progress,
    device: torch.device = CPU,
    observer: Observer = NOBODY,
    trainer: Trainer = train,
    shared: str | None = None,
) -> RunRecord:
    """Carry out a plan and return its record; both the record and the final file are on the disk by then.

    Whatever is stored below `outputs` from an earlier run is used: a finished run trains nothing.
    observer: told of the start, of every epoch and of every stage, but not of a run that is finished already.
    trainer: carries the trainings out; this process, if left out.
    shared: the URI of a cache that other machines share.
    Raises RunError if a stage cannot go on (a record with the status `failed` is written first).
    """
    runner = Run(plan, outputs, progress, device, observer, trainer, shared)
    with relying_on(runner.work.all_ids(), outputs / "cache"):
        return runner.execute()


class Run:
    """One plan being carried out. `measured` holds what is known of the stages done so far, by their number.

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
        shared: str | None = None,
    ):
        self.plan = plan = decided(plan, device)
        self.progress, self.device, self.observer = progress, device, observer
        self.cache = StageCache(outputs / "cache" / "stages", SharedCache(shared) if shared else None)
        self.folder = run_folder(outputs, plan)
        self.work = Stages(plan, self.cache, progress, device, trainer, observer)
        self.stages, self.ids = self.work.stages, self.work.ids
        self.measured: dict[int, StageResult] = {}
        self.was_cached: dict[int, bool] = {}
        self.started, self.clock = datetime.now(UTC), time.monotonic()

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
        stage_id = self.ids[index]
        if self.cache.find(stage_id) is None:
            self.work.prepare(index)
        with self.cache.lock(stage_id, f"waiting for another process that computes {self.work.named(index)}"):
            result = self.cache.find(stage_id) or self.cache.fetch(stage_id)
            self.was_cached[index] = result is not None
            if result is None:
                result = self.work.compute(index)
            missing = missing_metrics(self.plan.metrics, self.plan.task, result)
            if missing:
                self._measure(index, result, missing)
            if missing or not self.was_cached[index]:
                self.cache.share(stage_id)
            self.measured[index] = self.work.results[index] = result
            self._tell(index)

    def _tell(self, index: int) -> None:
        stage = self._stage_record(index)
        for figures in [*(stage.curve if stage.cached else []), stage.metrics]:
            self.observer.reached(stage.name, figures)

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
                task, test = self.plan.dataset.task, self.work.splits.test
                baseline = partial(self._baseline, index)
                try:
                    found = evaluate([(name, metric)], decoded, file, test, task, self.device, baseline)
                except RunError as error:
                    raise RunError(f"stages.{self.stages[index].name}: {error}") from error
                result.measured[metric_key(metric)] = {each.name: each.value for each in found}
                advance(1, name)
        sign(file, self.plan, index, result)
        self.cache.update(self.ids[index], result)

    def _baseline(self, index: int) -> Subject:
        """Return the network before compression; where there was none, or for the start itself, the start."""
        if self.plan.before == 0 and index >= 0:
            return packed_file.read(self.cache.model_path(self.ids[0]))
        return start_subject(self.plan)

    def _record(self, status: str, error: str = "") -> RunRecord:
        return run_record(
            self.plan,
            self.work.fingerprint,
            self.work.splits,
            environment=environment(self.device),
            stages=[self._stage_record(index) for index in self.measured if index >= 0],
            given=self._stage_record(-1) if -1 in self.measured else None,
            status=status,
            error=error,
            started=self.started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self.clock, 3),
        )

    def _stage_record(self, index: int) -> StageRecord:
        stage, cached = self.stages[index], self.was_cached[index]
        reads = self.plan.reads(stage, self.work.fingerprint)
        return stage_record(stage, self.ids[index], self.measured[index], self.plan.metrics, cached, reads)

    def _write(self, record: RunRecord) -> None:
        write_record(record, self.folder)
