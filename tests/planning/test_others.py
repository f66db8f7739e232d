"""Recipes that stages read: with this run's data, seed, training and limits, and never themselves."""

from __future__ import annotations

import pytest

from tests.planning.plans import built, faults

TEACHER = (
    "model: lenet5\ndataset: mnist\ntraining: survey\nseed: 9\nstages:\n  train: {technique: training/from_scratch}\n"
)
STUDENT = (
    "model: lenet5\ndataset: digits\ntraining: reduced\nstages:\n"
    "  distill: {technique: distillation/kd, teacher: {recipe: teacher, stage: %s}}\n"
)


@pytest.fixture(autouse=True)
def pair(write) -> None:
    write("teacher", TEACHER + "  prune: {technique: pruning/l1_norm}\n")
    write("row", STUDENT % "train")


def test_the_other_recipe_has_this_runs_data_seed_training_and_limits():
    plan = built("recipe=row", "seed=3", "limits.epochs=2")
    ((name, other),) = plan.others.items()
    assert name == "teacher: train"
    assert (other.recipe, other.seed, other.dataset.name, other.limits.epochs) == ("teacher", 3, "digits", 2)
    assert [stage.name for stage in other.stages] == ["train"], "what comes after is not needed"
    assert other.stages[0].technique.training.epochs == built("recipe=row").stages[0].technique.training.epochs == 15


def test_unless_the_source_says_otherwise():
    said = 'stages.distill.teacher.overrides=["seed=0","training=reduced_60","stages.train.training.lr=0.5"]'
    (other,) = built("recipe=row", "seed=3", said).others.values()
    training = other.stages[0].technique.training
    assert (other.seed, training.epochs, training.lr, other.dataset.name) == (0, 60, 0.5, "digits")


def test_what_is_read_is_part_of_the_identity(write):
    ours = built("recipe=row").stage_ids()
    assert built("recipe=row").stage_ids() == ours
    others = [
        'stages.distill.teacher.overrides=["stages.train.training.lr=0.5"]',
        "stages.distill.teacher.stage=start",
        "stages.distill.teacher.stage=prune",
    ]
    assert len({ours, *(built("recipe=row", each).stage_ids() for each in others)}) == 4
    write("same", TEACHER)
    assert built("recipe=row", "stages.distill.teacher.recipe=same").stage_ids() == ours, "by another name"


def test_smoke_reaches_the_other_recipe():
    (other,) = built("recipe=row", "debug=smoke").others.values()
    assert other.dataset.task.example().shape == (1, 1, 32, 32)
    assert other.limits.steps == 2


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("recipe=teachr", "stages.distill: reads teachr: train; recipe: there is no 'teachr'; did you mean 'teacher'?"),
        ("stage=trian", "stages.distill: reads teacher: trian; recipe: it has no stage 'trian'; did you mean 'train'?"),
        (
            'overrides=["stages.train.training.lr=-1"]',
            "stages.distill: reads teacher: train; stages.train.training: lr is -1.0; allowed: more than 0",
        ),
        ('overrides=["seed=none"]', "stages.distill: reads teacher: train; seed: is 'none'; a whole number is needed"),
    ],
)
def test_what_is_wrong_with_the_other_recipe_is_said_before_anything_runs(override, fault):
    (found,) = faults("recipe=row", f"stages.distill.teacher.{override}")
    assert found.startswith(fault)


def test_what_is_wrong_with_the_shared_data_is_said_once():
    (found,) = faults("recipe=row", "dataset=mnist", "dataset.root=nowhere")
    assert found.startswith("dataset: mnist is not there")


def test_two_recipes_that_read_each_other_are_refused(write):
    write("teacher", (STUDENT % "distill").replace("recipe: teacher", "recipe: row"))
    write("row", STUDENT % "distill")
    (found,) = faults("recipe=row")
    assert "reads itself: teacher: distill reads row: distill reads teacher: distill" in found


def test_a_recipe_may_read_an_earlier_stage_of_itself_with_another_seed(write):
    train = "  train: {technique: training/from_scratch}\n"
    kd = "  distill: {technique: distillation/kd, teacher: {recipe: row, stage: train, overrides: [seed=7]}}\n"
    write("row", "model: lenet5\ndataset: digits\nstages:\n" + train + kd)
    (other,) = built("recipe=row").others.values()
    assert (other.seed, [stage.name for stage in other.stages]) == (7, ["train"])


def test_a_source_that_names_nothing_says_what_it_may_be():
    (found,) = faults("recipe=row", "stages.distill.teacher={stage: ''}")
    assert "stages.distill.teacher: stage has no value; allowed: {stage}, {recipe, stage} or {file}" in found
