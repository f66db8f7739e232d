"""A plan becomes a record: stage after stage, each stored and measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

import torch

from compressbench.core.atomic import write_atomically
from compressbench.core.context import Progress
from compressbench.core.data import Splits
from compressbench.core.faults import PlanError, RunError
from compressbench.core.identity import essence
from compressbench.core.places import machine_cache
from compressbench.core.plan import Plan
from compressbench.core.record import RunRecord, StageRecord
from compressbench.core.sealed import file_digest
from compressbench.core.subject import Subject
from compressbench.measuring.macs import layer_table
from compressbench.packing import packed_file
from compressbench.packing.inspect import tensor_table
from compressbench.running.budget import missed_limits
from compressbench.running.cache import StageCache, StageResult
from compressbench.running.environment import environment
from compressbench.running.finished import whole_record
from compressbench.running.folders import RECORD, WEIGHTS, run_folder
from compressbench.running.in_use import relying_on
from compressbench.running.lent import LentContext
from compressbench.running.note import sign
from compressbench.running.observe import measure_key, missing_measures, observe, reads_file
from compressbench.running.progress import NamedProgress
from compressbench.running.start import seed_of, start_subject

CPU = torch.device("cpu")


def run(plan: Plan, outputs: Path, progress: Progress, device: torch.device = CPU) -> RunRecord:
    """Carry out a plan and return its record; both the record and the final file are on the disk by then.

    Whatever is stored below `outputs` from an earlier run is used: a finished run trains nothing.
    Raises RunError if a stage cannot go on (a record with the status `failed` is written first).
    """
    runner = Run(plan, outputs, progress, device)
    with relying_on(runner.stage_ids, outputs / "cache"):
        return runner.execute()


class Run:
    """One plan being carried out. `results` holds what is known of the stages done so far."""

    def __init__(self, plan: Plan, outputs: Path, progress: Progress, device: torch.device):
        self.plan, self.outputs, self.progress, self.device = plan, outputs, progress, device
        self.cache = StageCache(outputs / "cache" / "stages")
        self.folder = run_folder(outputs, plan)
        self.fingerprint = self._fingerprint()
        self.stage_ids = plan.stage_ids(self.fingerprint)
        self.results: list[StageResult] = []
        self.was_cached: list[bool] = []
        self.started, self.clock = datetime.now(UTC), time.monotonic()

    @cached_property
    def splits(self) -> Splits:
        splits, images = self.plan.dataset.load(), self.plan.limits.images
        if images is None:
            return splits
        return Splits(splits.train.limit(images), splits.validation.limit(images), splits.test.limit(images))

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
        try:
            for index in range(len(self.plan.stages)):
                self._stage(index)
        except RunError as error:
            self._write(self._record("failed", str(error)))
            raise
        record = self._record("finished")
        final = self.cache.model_path(self.stage_ids[-1])
        write_atomically(self.folder / WEIGHTS, final.read_bytes())
        record.layers = layer_table(packed_file.read(final).model, self._example())
        record.tensors = tensor_table(final)
        record.missed = missed_limits(self.plan.budget, record)
        record.digests = {WEIGHTS: file_digest(self.folder / WEIGHTS)}
        self._write(record)
        return record

    def _finished(self) -> RunRecord | None:
        """Return the record of this very run if it is there, with today's names, references and budget."""
        record = whole_record(self.folder)
        same = record is not None and [stage.stage_id for stage in record.stages] == list(self.stage_ids)
        if record is None or not same:
            return None
        before = record.to_json()
        record.protocol, record.reference = self.plan.protocol, essence(self.plan.reference)
        record.plan, record.missed = self.plan.as_dict(), missed_limits(self.plan.budget, record)
        if record.to_json() != before:
            self._write(record)
        return record

    def _stage(self, index: int) -> None:
        stage, stage_id = self.plan.stages[index], self.stage_ids[index]
        with self.cache.lock(stage_id, f"waiting for another process that computes the stage {stage.name!r}"):
            result = self.cache.find(stage_id)
            self.was_cached.append(result is not None)
            if result is None:
                result = self._compute(index)
            if missing_measures(self.plan.measures, result):
                self._measure(index, result)
            self.results.append(result)

    def _compute(self, index: int) -> StageResult:
        stage, stage_id = self.plan.stages[index], self.stage_ids[index]
        subject = self._result_of(index - 1)
        subject.skipped = []
        context, clock = self._lend(index), time.monotonic()
        try:
            subject = stage.technique.apply(subject, context)
        except PlanError:
            raise
        except ValueError as error:
            raise RunError(f"stages.{stage.name} ({stage.kind}): {error}") from error
        subject.model.cpu()
        seconds = round(time.monotonic() - clock, 3)
        result = StageResult({}, context.curve, subject.skipped, context.setting, seconds)
        try:
            self.cache.store(stage_id, subject, result)
        except ValueError as error:
            raise RunError(f"stages.{stage.name} ({stage.kind}): {error}") from error
        return result

    def _measure(self, index: int, result: StageResult) -> None:
        """Add what is not measured yet. Every figure comes from the network decoded from its file.

        The first figures are noted in the file; then come the measures that look at the file itself.
        """
        stage_id = self.stage_ids[index]
        file = self.cache.model_path(stage_id)
        decoded = packed_file.read(file)
        missing = sorted(missing_measures(self.plan.measures, result), key=lambda named: reads_file(named[1]))
        with self.progress.task(f"{self.plan.stages[index].name}: measure", len(missing)) as advance:
            for name, measure in missing:
                if reads_file(measure):
                    sign(file, self.plan, index, result)
                shape, test = self.plan.dataset.input_shape, self.splits.test
                result.measured |= observe([(name, measure)], decoded, file, test, shape, self.device, self._baseline)
                advance(1, name)
        sign(file, self.plan, index, result)
        self.cache.update(stage_id, result)

    def _baseline(self) -> Subject:
        """Return the network before compression: after the first stage if that trained it, else the start."""
        if self.plan.stages and "trained" in self.plan.stages[0].technique.adds:
            return packed_file.read(self.cache.model_path(self.stage_ids[0]))
        return start_subject(self.plan)

    def _lend(self, index: int) -> LentContext:
        earlier: dict[str, Callable[[], Subject]] = {"start": partial(self._result_of, -1)}
        for number, stage in enumerate(self.plan.stages[:index]):
            earlier[stage.name] = partial(self._result_of, number)
        stage_id, seconds = self.stage_ids[index], self.plan.budget.seconds
        return LentContext(
            seed=seed_of(self.plan.seed, stage_id),
            splits=self.splits,
            example=self._example(),
            progress=NamedProgress(self.progress, self.plan.stages[index].name),
            limits=self.plan.limits,
            checkpoints=self.cache.checkpoint_path(stage_id),
            settings=machine_cache() / "settings",
            device=self.device,
            earlier_stages=earlier,
            deadline=None if seconds is None else self.clock + seconds,
        )

    def _result_of(self, index: int) -> Subject:
        """Return a copy of what came out of a stage; -1 is the start."""
        if index < 0:
            return start_subject(self.plan)
        return self.cache.load(self.stage_ids[index], self.results[index])

    def _example(self) -> torch.Tensor:
        return torch.zeros(1, *self.plan.dataset.input_shape)

    def _record(self, status: str, error: str = "") -> RunRecord:
        plan = self.plan
        return RunRecord(
            recipe=plan.recipe,
            table=plan.table,
            row=plan.row,
            protocol=plan.protocol,
            seed=plan.seed,
            plan_id=plan.plan_id(),
            plan=plan.as_dict(),
            reference=essence(plan.reference),
            dataset={"name": plan.dataset.name, "fingerprint": self.fingerprint, **self._image_counts()},
            environment=environment(self.device),
            stages=[self._stage_record(index) for index in range(len(self.results))],
            status=status,
            error=error,
            started=self.started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self.clock, 3),
        )

    def _image_counts(self) -> dict[str, int]:
        return {f"{name}_images": len(split) for name, split in vars(self.splits).items()}

    def _stage_record(self, index: int) -> StageRecord:
        stage, result = self.plan.stages[index], self.results[index]
        wanted = [measurement for _, m in self.plan.measures for measurement in result.measured[measure_key(m)]]
        return StageRecord(
            name=stage.name,
            kind=stage.kind,
            stage_id=self.stage_ids[index],
            measurements={measurement.name: measurement.value for measurement in wanted},
            units={measurement.name: measurement.unit for measurement in wanted},
            curve=result.curve,
            skipped=[[skipped.what, skipped.why] for skipped in result.skipped],
            setting=result.setting,
            seconds=result.seconds,
            cached=self.was_cached[index],
        )

    def _write(self, record: RunRecord) -> None:
        write_atomically(self.folder / RECORD, record.to_json())
