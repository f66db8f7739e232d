"""Composing: conf/, a recipe, and what is written on the command line."""

from __future__ import annotations

import pytest

from compressbench.core.errors import PlanError
from compressbench.planning.compose import compose


def message(*overrides: str) -> str:
    with pytest.raises(PlanError) as caught:
        compose(list(overrides))
    text = str(caught.value)
    assert "Traceback" not in text
    assert "+" not in text.replace("the plus sign", "")
    return text


def test_a_recipe_names_its_model_dataset_and_training(row):
    config = compose(["recipe=row"])
    assert dict(config.chosen) == {"model": "lenet5", "dataset": "digits", "training": "steps_160", "debug": "none"}
    assert config.recipe == "row"
    assert "hydra" not in config


def test_stages_have_the_defaults_of_their_techniques(row):
    prune = compose(["recipe=row"]).stages.prune
    assert prune.technique == "pruning/l1_norm"
    assert (prune.ratio, prune.round_to) == (0.5, 1)
    assert compose(["recipe=row"]).stages.train.training.batch_size == 128


def test_the_command_line_wins_over_the_recipe(row):
    config = compose(["recipe=row", "dataset=synthetic", "training=reduced", "stages.prune.ratio=0.25", "seed=4"])
    assert (config.chosen.dataset, config.training.protocol) == ("synthetic", "reduced")
    assert (config.stages.prune.ratio, config.seed) == (0.25, 4)


def test_a_recipe_changes_single_values_of_its_model(write):
    write("row", "model: {name: alexnet, hidden: [64]}\ndataset: digits\n")
    config = compose(["recipe=row"])
    assert (config.chosen.model, config.model.hidden, config.model.batch_norm) == ("alexnet", [64], False)


def test_every_parameter_can_be_set_without_a_plus_sign(row):
    assert compose(["recipe=row", "stages.prune.round_to=16"]).stages.prune.round_to == 16


def test_a_swapped_technique_keeps_its_place_and_its_parameters(row):
    config = compose(["recipe=row", "stages.prune.technique=pruning/random_filters"])
    assert list(config.stages) == ["train", "prune", "finetune"]
    assert (config.stages.prune.technique, config.stages.prune.ratio) == ("pruning/random_filters", 0.5)


def test_stages_can_be_deleted_and_added(row):
    config = compose(
        ["recipe=row", "~stages.prune", "+stages.again={technique: training/finetune, training: {epochs: 1}}"]
    )
    assert list(config.stages) == ["train", "finetune", "again"]
    assert config.stages.again.training.epochs == 1


def test_the_outputs_folder_comes_from_the_environment(row, monkeypatch):
    assert compose(["recipe=row"]).outputs == "outputs"
    monkeypatch.setenv("COMPRESSBENCH_OUTPUTS", "/elsewhere")
    assert compose(["recipe=row"]).outputs == "/elsewhere"


def test_a_users_recipe_extends_one_of_ours(write):
    write("mine", "extends: quickstart\nstages: {prune: {ratio: 0.1}}\n")
    config = compose(["recipe=mine"])
    assert (config.recipe, config.chosen.model, config.stages.prune.ratio) == ("mine", "alexnet_bnd", 0.1)


def test_an_unknown_recipe_names_the_nearest():
    assert message("recipe=quikstart").startswith(
        "recipe: there is no 'quikstart'; did you mean 'quickstart'? (`compressbench list recipes` shows all)"
    )


def test_a_recipe_without_its_key_is_understood():
    assert message("quickstart") == "quickstart: is not an override; write recipe=quickstart"


def test_an_unknown_model_names_the_nearest(row):
    assert message("recipe=row", "model=alexnett") == (
        "model: there is no 'alexnett'; did you mean 'alexnet'? (`compressbench list models` shows all)"
    )


def test_an_unknown_model_in_a_recipe_too(write):
    write("row", "model: alexnett\n")
    assert "there is no 'alexnett'; did you mean 'alexnet'?" in message("recipe=row")


def test_an_unknown_key_names_the_nearest(row):
    assert message("recipe=row", "sead=1") == "sead: there is no such key; did you mean 'seed'?"
    assert message("recipe=row", "tracking.urli=x") == "tracking.urli: there is no such key; did you mean 'uri'?"


def test_several_values_need_a_multirun(row):
    assert message("recipe=row", "stages.prune.ratio=0.1,0.2").startswith("stages.prune.ratio=0.1,0.2: has several")


def test_a_plus_sign_too_many_is_named(row):
    assert message("recipe=row", "+seed=1") == "seed: is there already; leave out the plus sign"


def test_brackets_that_do_not_close_are_no_traceback(row):
    assert message("recipe=row", "seed=(").startswith("seed=(: cannot be read")


def test_a_syntax_error_in_a_recipe_says_the_line(write):
    write("row", "model: alexnet\nstages: {train: {technique: a}\n")
    assert "row.yaml, line 3: not valid YAML" in message("recipe=row")


@pytest.mark.parametrize("value", ["null", "5", "true", "[alexnet,lenet5]", "{a: 1}"])
def test_a_group_is_chosen_by_one_name(row, value):
    assert message("recipe=row", f"model={value}").startswith(f"model: is {value}; allowed: a name")
    assert message(f"recipe={value}").startswith(f"recipe: is {value}; allowed: a name")


def test_a_value_without_a_key_is_refused(row):
    assert message("recipe=row", "=3") == "=3: has no key; write KEY=VALUE"


def test_what_planning_itself_adds_cannot_be_set(row):
    with pytest.raises(PlanError, match="chosen: there is no such key"):
        compose(["recipe=row", "+chosen.model=x"])


def test_an_impossible_node_for_a_group_is_refused(row):
    assert message("recipe=row", "technique=pruning/l1_norm") == "technique: cannot be chosen here"
