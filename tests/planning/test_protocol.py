"""What a plan says of how it trains: by a protocol, by a schedule of its own, cut short, or changed by hand."""

from __future__ import annotations

import pytest

from compressbench.core.plan import Limits
from tests.planning.plans import built

PAPERS_ROW = """\
# A paper's row for tests.
model: lenet5
dataset: digits
stages:
  train: {technique: training/from_scratch, training: {lr: 0.03}}
  prune: {technique: pruning/l1_norm, ratio: 0.5}
  finetune: {technique: training/finetune}
reference: {source: "a paper, its table"}
"""


@pytest.mark.parametrize(
    ("overrides", "protocol"),
    [
        ([], "steps_160"),
        (["training=reduced"], "reduced"),
        (["stages.prune.ratio=0.1"], "steps_160"),
        (["stages.train.training.epochs=3"], "custom"),
        (["training=reduced", "training.train.lr=1"], "custom"),
        (["limits.steps=5"], "custom"),
        (["debug=smoke"], "smoke"),
    ],
)
def test_the_protocol_says_whether_the_training_was_changed_by_hand(write, overrides, protocol):
    write("row", PAPERS_ROW)
    assert built("recipe=row", *overrides).protocol == protocol


@pytest.mark.parametrize(
    "change",
    [
        "train: {training: {epochs: 1}}",
        "train: {training: {schedule: cosine}}",
        "train: {training: {batch_size: 64}}",
        "finetune: {training: {epochs: 39}}",
        "finetune: {training: {optimizer: adam}}",
    ],
)
def test_a_recipe_that_trains_otherwise_than_the_protocol_has_not_earned_its_label(write, change):
    write("papers", PAPERS_ROW)
    write("row", f"extends: papers\nstages:\n  {change}\n")
    assert built("recipe=row").protocol == "custom"


def test_what_a_method_trains_in_its_own_stage_belongs_to_the_method(write):
    of_inq = "inq: {technique: quantization/inq, training: {epochs: 3}}"
    write("row", PAPERS_ROW.replace("finetune: {technique: training/finetune}", of_inq))
    assert built("recipe=row").protocol == "steps_160"


def test_a_recipe_that_is_no_papers_row_keeps_to_no_protocol(write):
    write("row", PAPERS_ROW.replace('reference: {source: "a paper, its table"}', ""))
    assert built("recipe=row").protocol == ""
    assert built("recipe=row", "stages.train.training.epochs=1").protocol == "custom"


def test_a_row_that_trains_nothing_keeps_to_no_protocol(write):
    write("papers", PAPERS_ROW)
    write("row", "extends: papers\nstages: {train: {training: {epochs: 0}}, finetune: null}\n")
    assert built("recipe=row").protocol == ""


def test_limits_in_a_recipe_make_it_custom_too(write):
    write("row", "extends: quickstart\nlimits: {epochs: 1}\n")
    assert built("recipe=row").protocol == "custom"


def test_smoke_needs_neither_data_nor_weights(write, folder):
    write("row", f"extends: li2017/resnet34_imagenet_a\ndataset: {{root: {folder}/nowhere}}\n")
    plan = built("recipe=row", "debug=smoke")
    assert plan.dataset.task.shape == [3, 224, 224]
    assert plan.dataset.task.classes == 1000
    assert plan.dataset.examples == 16
    assert plan.model.weights is None
    assert (plan.limits.epochs, plan.limits.steps) == (1, 2)


def test_smoke_holds_no_accuracy_against_a_budget(row):
    limits = ("budget.accuracy_drop=0.01", "budget.params=5", "budget.top1=0.9")
    budget = built("recipe=row", "debug=smoke", *limits).budget
    assert (budget.accuracy_drop, budget.limits) == (None, {"params": 5})


def test_smoke_leaves_limits_that_are_given(row):
    assert built("recipe=row", "debug=smoke", "limits.steps=1").limits == Limits(epochs=1, steps=1)
