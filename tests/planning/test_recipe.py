"""Plain YAML with inheritance."""

from __future__ import annotations

from pathlib import Path

import pytest

from compressbench.core.errors import PlanError
from compressbench.planning.recipe import read_recipe

PARENT = """\
# parent
model: {name: alexnet, hidden: [64]}
dataset: mnist
stages:
  train: {technique: training/from_scratch, training: {lr: 0.03}}
  prune: {technique: pruning/l1_norm, ratio: 0.3, ignore: [conv1]}
  finetune: {technique: training/finetune}
reference: {top1: 0.9, before: {top1: 0.95, params: 10}}
"""


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def read(folder: Path, child: str, parent: str = PARENT) -> dict:
    write(folder, "table/_parent", parent)
    write(folder, "table/child", child)
    return read_recipe("table/child", [folder])


def test_a_child_changes_single_keys_and_the_stages_keep_their_order(tmp_path):
    recipe = read(tmp_path, "extends: _parent\nstages:\n  prune: {ratio: 0.5}\nreference: {before: {top1: 0.96}}\n")
    assert list(recipe["stages"]) == ["train", "prune", "finetune"]
    assert recipe["stages"]["prune"] == {"technique": "pruning/l1_norm", "ratio": 0.5, "ignore": ["conv1"]}
    assert recipe["reference"] == {"top1": 0.9, "before": {"top1": 0.96, "params": 10}}


def test_null_deletes_a_stage_and_a_new_one_comes_last(tmp_path):
    child = "extends: _parent\nstages: {finetune: null, again: {technique: training/rewind}}\n"
    assert list(read(tmp_path, child)["stages"]) == ["train", "prune", "again"]


def test_deleting_a_stage_that_is_not_there_names_the_nearest(tmp_path):
    with pytest.raises(PlanError, match=r"stages\.prunee: there is no such stage to delete; did you mean 'prune'"):
        read(tmp_path, "extends: _parent\nstages: {prunee: null}\n")


def test_a_stage_with_another_technique_starts_afresh(tmp_path):
    recipe = read(tmp_path, "extends: _parent\nstages: {prune: {technique: pruning/slimming, ratio: 0.4}}\n")
    assert recipe["stages"]["prune"] == {"technique": "pruning/slimming", "ratio": 0.4}
    assert list(recipe["stages"]) == ["train", "prune", "finetune"]


def test_another_model_does_not_keep_the_changes_to_the_parents_model(tmp_path):
    assert read(tmp_path, "extends: _parent\nmodel: lenet5\n")["model"] == {"name": "lenet5"}


def test_the_same_model_keeps_them(tmp_path):
    recipe = read(tmp_path, "extends: _parent\nmodel: {dropout: 0.5}\n")
    assert recipe["model"] == {"name": "alexnet", "hidden": [64], "dropout": 0.5}


def test_weights_are_short_for_the_models_weights(tmp_path):
    assert read(tmp_path, "extends: _parent\nweights: a.pt\n")["model"]["weights"] == "a.pt"


def test_numbers_with_an_exponent_are_numbers(tmp_path):
    assert read(tmp_path, "extends: _parent\nreference: {params: 1.64e6}\n")["reference"]["params"] == 1_640_000


def test_a_users_recipe_extends_ours_of_the_same_name(tmp_path):
    write(tmp_path / "ours", "table/row", PARENT)
    write(tmp_path / "own", "table/row", "extends: table/row\nseed: 3\n")
    recipe = read_recipe("table/row", [tmp_path / "own", tmp_path / "ours"])
    assert recipe["seed"] == 3
    assert list(recipe["stages"]) == ["train", "prune", "finetune"]


def test_a_circle_is_refused(tmp_path):
    with pytest.raises(PlanError, match="extends 'child', which extends this file again"):
        read(tmp_path, "extends: _parent\n", parent="extends: child\n")


def test_an_unknown_parent_names_the_nearest_sibling(tmp_path):
    with pytest.raises(PlanError, match=r"child\.yaml: extends '_parnt', which does not exist; did you mean '_parent'"):
        read(tmp_path, "extends: _parnt\n")


def test_a_syntax_error_says_file_line_and_reason(tmp_path):
    with pytest.raises(PlanError, match=r"child\.yaml, line 3: not valid YAML: .*mapping values are not allowed"):
        read(tmp_path, "extends: _parent\nstages:\n  prune: ratio: 0.5\n")


def test_the_same_key_twice_is_refused(tmp_path):
    with pytest.raises(PlanError, match="found duplicate key seed"):
        read(tmp_path, "extends: _parent\nseed: 1\nseed: 2\n")


def test_wrong_shapes_are_reported_together(tmp_path):
    with pytest.raises(PlanError) as caught:
        read(tmp_path, "model: 3\nstages: [train]\ndefaults: [x]\n")
    assert [fault.where.rpartition(": ")[2] for fault in caught.value.faults] == ["defaults", "model", "stages"]


@pytest.mark.parametrize("key", ["defaults", "hydra", "recipe", "chosen"])
def test_keys_that_would_be_ignored_are_refused(tmp_path, key):
    with pytest.raises(PlanError, match=f"{key}: is no key of a recipe"):
        read(tmp_path, f"extends: _parent\n{key}: {{a: 1}}\n")


@pytest.mark.parametrize("key", ["stages", "budget", "reference", "limits"])
def test_a_node_that_is_no_mapping_is_met_with_an_example(tmp_path, key):
    with pytest.raises(PlanError, match=rf"child\.yaml: {key}: is 3; allowed: a mapping, e\.g\. `\w+: "):
        read(tmp_path, f"extends: _parent\n{key}: 3\n")


def test_one_recipe_is_extended(tmp_path):
    with pytest.raises(PlanError, match=r"extends: is \['_parent', 'b'\]; allowed: the name of one recipe"):
        read(tmp_path, "extends: [_parent, b]\n")


def test_a_node_that_holds_itself_is_refused(tmp_path):
    with pytest.raises(PlanError, match=r"child\.yaml: cannot be read"):
        read(tmp_path, "extends: _parent\nstages: &all {prune: {ratio: 0.5}, again: *all}\n")


def test_tracking_off_is_a_name_though_yaml_reads_it_as_false(tmp_path):
    assert read(tmp_path, "extends: _parent\ntracking: off\n")["tracking"] == {"name": "off"}


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", "table/.hidden"])
def test_names_cannot_leave_the_folders(tmp_path, name):
    (tmp_path / "secret.yaml").write_text("seed: 1\n")
    (tmp_path / "recipes").mkdir()
    with pytest.raises(PlanError, match="there is no"):
        read_recipe(name, [tmp_path / "recipes"])
