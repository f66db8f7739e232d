"""How a stage says its training: a schedule's whole one, what it changes of it, or another one below."""

from __future__ import annotations

import pytest

from tests.planning.plans import built, faults


def trained(*overrides: str) -> tuple[int, float, str, str]:
    found = built("recipe=row", *overrides).stages[0].technique.training
    return found.epochs, found.lr, found.schedule, found.optimizer


STAGES = "model: lenet5\ndataset: digits\nstages:\n  train: {technique: training/from_scratch%s}\n"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("", (160, 0.05, "steps", "sgd")),
        (", training: {epochs: 2}", (2, 0.05, "steps", "sgd")),
        (", training: {extends: finetune}", (40, 0.001, "constant", "sgd")),
        (', training: "${training.finetune}"', (40, 0.001, "constant", "sgd")),
        (", training: {extends: train_plain, epochs: 3}", (3, 0.03, "steps", "sgd")),
    ],
)
def test_a_recipe_says_all_of_it_or_what_is_different(write, said, found):
    write("row", STAGES % said)
    assert trained() == found
    assert trained("stages.train.training.optimizer=adam") == (*found[:3], "adam")


def test_the_defaults_of_a_technique_may_extend_a_schedule_too(write):
    write("row", STAGES.replace("training/from_scratch", "quantization/bnn") % "")
    assert trained() == (160, 0.003, "cosine", "adam")
    assert trained("training=reduced", "stages.train.training.lr=0.02") == (15, 0.02, "cosine", "adam")
    assert trained("stages.train.training.extends=finetune") == (40, 0.001, "constant", "sgd")


def test_a_child_changes_one_value_of_its_parents_training(write):
    write("parent", STAGES % ', training: "${training.finetune}"')
    write("row", "extends: parent\nstages: {train: {training: {lr: 0.5}}}\n")
    assert trained() == (40, 0.5, "constant", "sgd")


def test_a_training_may_be_another_stages(write):
    write("row", STAGES % "" + '  finetune: {technique: training/finetune, training: "${stages.train.training}"}\n')
    assert built("recipe=row").stages[1].technique.training == built("recipe=row").stages[0].technique.training


def test_the_training_inside_a_pruning_is_said_in_the_same_words(write):
    prune = "  prune: {technique: pruning/magnitude, rounds: 2, retrain: {extends: finetune, epochs: 1}}\n"
    write("row", STAGES % "" + prune)
    retrain = built("recipe=row").stages[1].technique.retrain
    assert (retrain.epochs, retrain.lr) == (1, 0.001)


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("stages.train.epochs=1", "stages.train.epochs: there is no such key; did you mean 'training.epochs'?"),
        ("stages.train.training.epoch=1", "stages.train.training.epoch: there is no such key; did you mean 'epochs'?"),
        (
            "stages.train.training.extends=fine",
            "stages.train.training.extends: there is no 'fine'; did you mean 'finetune'?",
        ),
        ("stages.train.training.lr=-1", "stages.train.training: lr is -1.0; allowed: more than 0"),
        ("stages.train.training=null", "stages.train.training: is None; allowed: a mapping"),
        ("stages.train.training=finetune", "stages.train.training: is 'finetune'; allowed: a mapping"),
    ],
)
def test_what_is_wrong_is_named_with_what_was_probably_meant(row, override, fault):
    assert faults("recipe=row", override) == [fault]


def test_rates_by_parameter_are_given_in_a_recipe(write):
    write("row", STAGES % ', training: {lr_factors: {"*.bias": 0.1}}')
    assert built("recipe=row").stages[0].technique.training.lr_factors == {"*.bias": 0.1}
