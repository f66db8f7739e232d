"""What a plan says of how it trains: as the recipe has it, cut short, or changed by hand."""

from __future__ import annotations

import pytest

from compressbench.core.plan import Limits
from tests.planning.plans import built


@pytest.mark.parametrize(
    ("overrides", "protocol"),
    [
        ([], "paper"),
        (["training=reduced"], "reduced"),
        (["stages.prune.ratio=0.1"], "paper"),
        (["stages.train.epochs=3"], "custom"),
        (["training=reduced", "training.train.lr=1"], "custom"),
        (["limits.steps=5"], "custom"),
        (["debug=smoke"], "smoke"),
    ],
)
def test_the_protocol_says_whether_the_training_was_changed_by_hand(row, overrides, protocol):
    assert built("recipe=row", *overrides).protocol == protocol


def test_limits_in_a_recipe_make_it_custom_too(write):
    write("row", "extends: quickstart\nlimits: {epochs: 1}\n")
    assert built("recipe=row").protocol == "custom"


def test_smoke_needs_neither_data_nor_weights(write, folder):
    write("row", f"extends: li2017/resnet34_imagenet_a\ndataset: {{root: {folder}/nowhere}}\n")
    plan = built("recipe=row", "debug=smoke")
    assert plan.dataset.input_shape == (3, 224, 224)
    assert plan.dataset.classes == 1000
    assert plan.dataset.train_images == 16
    assert plan.model.weights is None
    assert (plan.limits.epochs, plan.limits.steps) == (1, 2)


def test_smoke_holds_no_accuracy_against_a_budget(row):
    budget = built("recipe=row", "debug=smoke", "budget.accuracy_drop=0.01", "budget.params=5").budget
    assert (budget.accuracy_drop, budget.params) == (None, 5)


def test_smoke_leaves_limits_that_are_given(row):
    assert built("recipe=row", "debug=smoke", "limits.steps=1").limits == Limits(epochs=1, steps=1)
