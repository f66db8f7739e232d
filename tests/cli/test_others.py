"""A student and its teacher from the command line, on digits."""

from __future__ import annotations

from pathlib import Path

import pytest

from compressbench.cli.main import main
from compressbench.core.record import RunRecord

SMALL = (
    "model: {name: lenet5, image_size: 32, filters: [2, 3], hidden: 8}\ndataset: digits\ntraining: reduced\nstages:\n"
)
TEACHER = (
    "model: {name: lenet5, image_size: 32}\ndataset: digits\ntraining: reduced\nstages:\n"
    "  train: {technique: training/from_scratch}\n"
)
STUDENT = "  distill: {technique: distillation/kd, teacher: {recipe: teacher, stage: train}}\n"
WORDS = ["tracking=off", "limits.epochs=1", "limits.steps=2", "threads=1"]


@pytest.fixture(autouse=True)
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/teacher.yaml").write_text(TEACHER)
    (tmp_path / "recipes/student.yaml").write_text(SMALL + STUDENT)


def test_a_student_brings_its_teacher_and_a_sweep_has_one_for_each_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "recipe=student", *WORDS]) == 0
    assert "teacher: train" in capsys.readouterr().out
    assert main(["run", "-m", "recipe=student", "seed=0,1", *WORDS]) == 0
    records = [RunRecord.read(path) for path in sorted(Path("outputs/runs").rglob("record.json"))]
    assert [record.recipe for record in records] == ["student", "student"]
    assert len({record.stages[0].reads["teacher: train"] for record in records}) == 2
    assert main(["run", "recipe=teacher", "seed=1", *WORDS]) == 0
    (teacher,) = [RunRecord.read(path) for path in Path("outputs/runs/teacher").rglob("record.json")] or [
        RunRecord.read(path) for path in Path("outputs/runs").rglob("teacher/*/record.json")
    ]
    assert teacher.stages[0].cached
    assert teacher.stages[0].stage_id in {record.stages[0].reads["teacher: train"] for record in records}


def test_a_changed_teacher_is_noticed_although_the_student_was_finished() -> None:
    assert main(["run", "recipe=student", *WORDS]) == 0
    Path("recipes/teacher.yaml").write_text(TEACHER.replace("from_scratch", "from_scratch, training: {lr: 0.2}"))
    assert main(["run", "recipe=student", *WORDS]) == 0
    records = [RunRecord.read(path) for path in Path("outputs/runs").rglob("record.json")]
    assert len({record.stages[0].reads["teacher: train"] for record in records}) == 2


def test_what_is_wrong_with_the_teacher_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "recipe=student", "stages.distill.teacher.recipe=teachr", *WORDS]) == 2
    said = capsys.readouterr().err
    assert "stages.distill: reads teachr: train; recipe: there is no 'teachr'; did you mean 'teacher'?" in said
    assert "Traceback" not in said


def test_the_example_of_the_recipes_runs_in_a_smoke_test() -> None:
    assert main(["run", "recipe=distillation/mnist_student_kd", "debug=smoke", "tracking=off"]) == 0
