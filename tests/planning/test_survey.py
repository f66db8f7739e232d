"""`training=survey`: the survey's own schedule, with all training images, and what it cannot be."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from compressbench.core.plan import Plan
from compressbench.core.training import TrainingConfig
from compressbench.planning.build import build
from compressbench.planning.compose import compose

SLIMMING = "recipe=table5/cifar10_slimming_40"
PRUNED = "recipe=table5/cifar10_bnd_l1norm_0_60"


@cache
def planned(*overrides: str) -> Plan:
    plan, _ = build(compose(list(overrides)), overrides)
    assert plan is not None
    return plan


def faults(*overrides: str) -> list[str]:
    """Return all faults but that the data is missing here."""
    return [str(fault) for fault in build(compose(list(overrides)), overrides)[1] if fault.where != "dataset"]


def training(plan: Plan, stage: str) -> TrainingConfig:
    found = technique(plan, stage).training
    assert isinstance(found, TrainingConfig)
    return found


def technique(plan: Plan, stage: str) -> Any:
    return next(each.technique for each in plan.stages if each.name == stage)


def schedule(training: TrainingConfig) -> tuple[int, int, float, str]:
    return training.epochs, training.batch_size, training.lr, training.schedule


def test_its_numbers_are_those_of_the_public_code() -> None:
    plan = planned(PRUNED, "training=survey")
    train, finetune = training(plan, "train"), training(plan, "finetune")
    assert schedule(train) == (160, 64, 0.1, "steps")
    assert (train.milestones, train.gamma) == ([0.5, 0.75], 0.1)
    assert schedule(finetune) == (40, 64, 0.001, "constant")
    for each in (train, finetune):
        assert (each.optimizer, each.momentum, each.nesterov) == ("sgd", 0.9, False)
        assert (each.weight_decay, each.select) == (1e-4, "last")


@pytest.mark.parametrize(
    ("recipe", "stage", "lr"),
    [
        ("table5/cifar10_l1norm_30", "train", {"survey": 0.1, "steps_160": 0.03, "reduced_mnist": 0.03}),
        ("table5/mnist_bnd_magnitude", "train", {"survey": 0.1, "steps_160": 0.05, "reduced_mnist": 0.05}),
        ("table5/mnist_slimming_50", "train", {"survey": 0.1, "steps_160": 0.05, "reduced_60": 0.05}),
        ("table6/cifar10_scratch", "scratch", {"survey": 0.1, "steps_160": 0.05, "reduced": 0.05}),
        ("table7/cifar10_bnn_baseline", "train", {"survey": 0.1, "steps_160": 0.03}),
    ],
)
def test_the_learning_rate_is_the_schedules(recipe: str, stage: str, lr: dict[str, float]) -> None:
    assert {name: training(planned(f"recipe={recipe}", f"training={name}"), stage).lr for name in lr} == lr


@pytest.mark.parametrize(
    ("recipe", "stage"),
    [(PRUNED, "train"), (SLIMMING, "train"), ("recipe=table6/cifar10_scratch", "scratch")],
)
def test_networks_start_from_the_schedules_weights(recipe: str, stage: str) -> None:
    ours, default = (technique(planned(recipe, f"training={name}"), stage) for name in ("survey", "steps_160"))
    assert (ours.init, default.init) == ("he_fan_out", "torch")


def test_slimming_is_fine_tuned_by_the_whole_schedule_under_survey_only() -> None:
    assert schedule(training(planned(SLIMMING, "training=survey"), "finetune")) == (160, 64, 0.1, "steps")
    assert schedule(training(planned(SLIMMING), "finetune")) == (40, 128, 0.001, "constant")
    assert schedule(training(planned(SLIMMING, "training=reduced_60"), "finetune")) == (20, 128, 0.01, "one_cycle")


@pytest.mark.parametrize("name", ["survey", "survey_best"])
@pytest.mark.parametrize("recipe", [SLIMMING, PRUNED, "recipe=table6/cifar10_scratch", "recipe=table7/cifar10_bnn_ce"])
def test_the_rows_of_the_tables_earn_its_label(recipe: str, name: str) -> None:
    assert planned(recipe, f"training={name}").protocol == name
    assert faults(recipe, f"training={name}") == []


@pytest.mark.parametrize(
    "change",
    ["stages.train.init=torch", "stages.finetune.training.epochs=30", "training.hold_out=true", "training.init=torch"],
)
def test_a_change_loses_the_label(change: str) -> None:
    assert planned(SLIMMING, "training=survey", change).protocol == "custom"


def test_a_recipe_that_starts_otherwise_has_not_earned_the_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipes").mkdir()
    row = "extends: table5/cifar10_slimming_40\nstages: {train: {init: torch}}\n"
    (tmp_path / "recipes/row.yaml").write_text(row)
    monkeypatch.chdir(tmp_path)
    assert planned("recipe=row", "training=survey").protocol == "custom"
    assert planned("recipe=row").protocol == "steps_160"


@pytest.mark.parametrize(
    ("dataset", "key", "held"), [("cifar10", "validation_images", 5000), ("cifar10_jpeg", "validation_share", 0.1)]
)
def test_all_training_images_are_trained_on(dataset: str, key: str, held: float) -> None:
    counts = {
        name: getattr(planned(PRUNED, f"dataset={dataset}", f"training={name}").dataset, key)
        for name in ("survey", "survey_best", "steps_160")
    }
    assert counts == {"survey": 0, "survey_best": held, "steps_160": held}


def test_held_out_images_on_the_command_line_contradict_it() -> None:
    given = (PRUNED, "dataset=cifar10_jpeg", "training=survey")
    assert faults(*given, "dataset.validation_share=0.2") == [
        "dataset.validation_share: is 0.2, but training.hold_out is false, so no training images are held out; leave "
        "it out, or add training.hold_out=true"
    ]
    assert faults(*given, "dataset.validation_share=0") == []
    held = planned(*given, "dataset.validation_share=0.2", "training.hold_out=true")
    assert held.dataset.validation_share == 0.2


def test_a_dataset_that_always_holds_images_out_is_refused() -> None:
    assert faults("recipe=quickstart", "training=survey") == [
        "training.hold_out: is false, but digits always holds images out; allowed here: training.hold_out=true"
    ]
    assert faults("recipe=quickstart", "training=survey", "training.hold_out=true") == []


def test_choosing_the_best_epoch_needs_held_out_images() -> None:
    what = "so no validation images are there for select: best (stages.train); allowed: select: last, or"
    assert faults(PRUNED, "training=survey", "stages.train.training.select=best") == [
        f"training.hold_out: is false, {what} training.hold_out=true"
    ]
    assert faults(PRUNED, "stages.train.training.select=best", "dataset.validation_images=0") == [
        f"dataset.validation_images: is 0, {what} more than 0 with training.hold_out=true"
    ]
    assert faults(PRUNED, "stages.train.training.select=best") == []


def test_survey_best_chooses_by_held_out_images_and_is_the_same_otherwise() -> None:
    for stage in ("train", "finetune"):
        last, best = (training(planned(SLIMMING, f"training={name}"), stage) for name in ("survey", "survey_best"))
        assert (last.select, best.select) == ("last", "best")
        assert schedule(last) == schedule(best)


def test_weights_that_are_given_are_not_drawn_anew(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"")
    found = faults(SLIMMING, "training=survey", f"model.weights={tmp_path}/weights.pt")
    assert any(
        fault.startswith("stages.train: training/sparsity_training would draw new weights over") for fault in found
    )


def test_a_schedule_out_of_range_is_a_fault() -> None:
    assert faults(PRUNED, "training.finetune_slimming.epochs=-1") == ["training: epochs is -1; allowed: 0 or more"]
