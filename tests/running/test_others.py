"""Stages that read another run's stages, or a file: found in the cache or computed, named in the record, kept."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from compressbench.core.context import Context
from compressbench.core.errors import RunError
from compressbench.core.plan import Budget, Plan, Stage
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.trainer import Trained
from compressbench.core.training import TrainingConfig
from compressbench.packing import packed_file
from compressbench.running.dry_run import dry_run
from compressbench.running.in_use import relied_on
from compressbench.running.progress import SilentProgress
from compressbench.running.room import prune
from compressbench.running.run import run
from compressbench.techniques.distillation.kd import KnowledgeDistillation
from compressbench.training.loop import train
from tests.running.plans import TRAINING, plan
from tests.techniques.lending import trained_by

TEACHER = plan(recipe="tests/teacher", metrics=(), budget=Budget())


def student(source: Source, teacher: Plan = TEACHER, technique: Technique | None = None) -> Plan:
    """Return a plan of one stage that reads another plan's, up to the stage that the source names."""
    own = technique or trained_by(KnowledgeDistillation, **TRAINING, teacher=source, temperature=2.0, weight=0.5)
    names = [stage.name for stage in teacher.stages]
    part = replace(teacher, stages=teacher.stages[: names.index(source.stage) + 1]) if source.recipe else None
    others = {source.run: part} if part else {}
    return plan(recipe="tests/student", stages=(Stage("distill", "distillation/kd", own),), others=others)


READS = Source("train", "tests/teacher")


def epochs_trained(lengths: list[int]) -> Any:
    def counting(subject: Subject, config: TrainingConfig, *splits: Any, **rest: Any) -> Trained:
        lengths.append(config.epochs)
        return train(subject, config, *splits, **rest)

    return counting


def test_what_is_missing_is_computed_and_what_is_there_is_not(tmp_path: Path) -> None:
    lengths: list[int] = []
    record = run(student(READS), tmp_path, SilentProgress(), trainer=epochs_trained(lengths))
    assert lengths == [2, 2], "the teacher, then the student; nothing is pruned"
    ((name, teacher_id),) = record.stages[0].reads.items()
    assert name == "tests/teacher: train"
    assert record.plan["stages"]["distill"]["teacher"]["recipe"] == "tests/teacher"
    later = run(plan(recipe="tests/teacher"), tmp_path, SilentProgress(), trainer=epochs_trained(lengths))
    assert later.stages[0].stage_id == teacher_id
    assert (later.stages[0].cached, lengths) == (True, [2, 2, 2]), "the teacher's own run goes on from it"
    again = run(student(READS), tmp_path, SilentProgress(), trainer=epochs_trained(lengths))
    assert len(lengths) == 3
    assert again.final.metrics == record.final.metrics


def test_a_finished_stage_needs_nothing_that_it_was_made_from(tmp_path: Path) -> None:
    record = run(student(READS), tmp_path, SilentProgress())
    (teacher_id,) = record.stages[0].reads.values()
    shutil.rmtree(tmp_path / "cache" / "stages" / teacher_id)
    shutil.rmtree(tmp_path / "runs")
    lengths: list[int] = []
    assert run(student(READS), tmp_path, SilentProgress(), trainer=epochs_trained(lengths)).final.cached
    assert lengths == []


def test_the_result_is_that_of_the_teacher_that_was_read(tmp_path: Path) -> None:
    other = trained_by(type(TEACHER.stages[0].technique), **{**TRAINING, "epochs": 3})
    better = replace(TEACHER, stages=(Stage("train", "training/from_scratch", other),))
    first, second = (run(student(READS, each), tmp_path, SilentProgress()).final for each in (TEACHER, better))
    assert first.stage_id != second.stage_id
    assert first.metrics["loss"] != second.metrics["loss"]


def test_other_stages_are_in_use_while_it_runs_and_kept_afterwards(tmp_path: Path) -> None:
    seen: set[str] = set()

    @dataclass(frozen=True)
    class Looking(Technique):
        teacher: Source = READS
        adds: ClassVar[frozenset[str]] = frozenset({"trained"})

        def apply(self, subject: Subject, context: Context) -> Subject:
            seen.update(relied_on(tmp_path / "cache"))
            return context.subject_of(self.teacher)

    looking = student(READS, technique=Looking())
    record = run(looking, tmp_path, SilentProgress())
    (teacher_id,) = record.stages[0].reads.values()
    assert {teacher_id, record.final.stage_id} <= seen
    assert [entry.path.name for entry in prune(tmp_path, None, unused=True, dry_run=True)] == []


def test_a_run_killed_between_the_two_goes_on_from_the_teacher(tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    lengths: list[int] = []

    def killed(subject: Subject, config: TrainingConfig, *splits: Any, **rest: Any) -> Trained:
        if rest["objective"] is not None:
            raise KilledError
        return epochs_trained(lengths)(subject, config, *splits, **rest)

    with pytest.raises(KilledError):
        run(student(READS), tmp_path, SilentProgress(), trainer=killed)
    run(student(READS), tmp_path, SilentProgress(), trainer=epochs_trained(lengths))
    assert lengths == [2, 2]


def test_what_fails_in_the_other_recipe_is_named_by_it(tmp_path: Path) -> None:
    diverging = trained_by(type(TEACHER.stages[0].technique), **{**TRAINING, "lr": 1e30})
    broken = replace(TEACHER, stages=(Stage("train", "training/from_scratch", diverging),))
    with pytest.raises(RunError, match=r"^tests/teacher: .*(is nan|not finite)"):
        run(student(READS, broken), tmp_path, SilentProgress())


def test_a_stage_of_this_run_and_the_start_may_be_read(tmp_path: Path) -> None:
    own = trained_by(KnowledgeDistillation, **TRAINING, teacher=Source("train"), temperature=2.0, weight=0.5)
    whole = plan(stages=(*plan().stages[:2], Stage("distill", "distillation/kd", own)))
    record = run(whole, tmp_path, SilentProgress())
    assert record.stages[2].reads == {"train": record.stages[0].stage_id}


def test_a_teacher_may_be_a_packed_file_wherever_it_lies(tmp_path: Path) -> None:
    record = run(plan(), tmp_path, SilentProgress())
    model = tmp_path / "cache" / "stages" / record.stages[0].stage_id / "model.cbp"
    for name in ("a", "b"):
        shutil.copy(model, tmp_path / f"{name}.cbp")
    ids = [student(Source(file=str(tmp_path / f"{name}.cbp"))).stage_ids("data") for name in ("a", "b")]
    assert ids[0] == ids[1]
    taught = run(student(Source(file=str(tmp_path / "a.cbp"))), tmp_path, SilentProgress())
    assert taught.stages[0].reads.keys() == {str(tmp_path / "a.cbp")}


def test_a_teacher_may_be_weights_of_the_runs_own_network(tmp_path: Path) -> None:
    record = run(plan(), tmp_path, SilentProgress())
    subject = packed_file.read(tmp_path / "cache" / "stages" / record.stages[0].stage_id / "model.cbp")
    torch.save(subject.model.state_dict(), tmp_path / "teacher.pt")
    file = Source(file=str(tmp_path / "teacher.pt"))
    assert not dry_run(student(file), tmp_path)[1]
    assert run(student(file), tmp_path, SilentProgress()).status == "finished"


def test_a_dry_run_says_what_the_other_recipe_will_do_and_what_is_wrong_there(tmp_path: Path) -> None:
    stages, faults = dry_run(student(Source("prune", "tests/teacher")), tmp_path)
    assert not faults
    assert [(each.name, each.epochs, each.cached) for each in stages[0].reads] == [
        ("tests/teacher: train", 2, False),
        ("tests/teacher: prune", 0, False),
    ]
    run(student(READS), tmp_path, SilentProgress())
    assert dry_run(student(READS), tmp_path)[0][0].reads[0].cached
    wrong = replace(TEACHER.stages[1], technique=replace(TEACHER.stages[1].technique, targets=["conv9"]))  # type: ignore[type-var]
    broken = replace(TEACHER, stages=(TEACHER.stages[0], wrong))
    (fault,) = dry_run(student(Source("prune", "tests/teacher"), broken), tmp_path)[1]
    assert fault.where == "stages.distill"
    assert "reads tests/teacher: prune; stages.prune: targets has 'conv9'" in fault.what


@pytest.mark.parametrize("content", [None, b"nothing"])
def test_a_file_that_is_no_network_is_a_fault(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "teacher.cbp"
    if content is not None:
        file.write_bytes(content)
    assert "teacher.cbp" in dry_run(student(Source(file=str(file))), tmp_path)[1][0].what
