"""What every verb that reads a recipe begins with."""

from __future__ import annotations

import subprocess
import sys

import pytest

from compressbench.core.errors import PlanError
from compressbench.planning.prepare import prepare


def test_a_configuration_comes_with_its_overrides_as_written_and_its_plain_keys(row, folder):
    words = ["recipe=row", "stages.prune.ratio=0.25", "~stages.finetune", "seed=3", "outputs=there"]
    found = prepare(words)
    assert found.overrides == words
    assert {name: node.get("ratio") for name, node in found.config.stages.items()} == {"train": None, "prune": 0.25}
    assert (found.settings.seed, found.settings.folder) == (3, folder / "there")
    assert found.plain()["stages"]["prune"]["ratio"] == 0.25


def test_parameters_that_the_recipe_leaves_to_their_defaults_can_be_set_without_a_plus(row):
    found = prepare(
        [
            "recipe=row",
            "stages.prune.round_to=8",
            "stages.train.training.lr=0.5",
            "stages.more.technique=pruning/l1_norm",
        ]
    )
    assert (found.config.stages.prune.round_to, found.config.stages.train.training.lr) == (8, 0.5)
    assert list(found.config.stages) == ["train", "prune", "finetune", "more"]


def test_a_stage_that_is_not_there_cannot_be_deleted(row):
    with pytest.raises(PlanError) as caught:
        prepare(["recipe=row", "~stages.prunne", "stages.train.training.epochs=many"])
    assert [str(fault).partition(" (")[0] for fault in caught.value.faults] == [
        "~stages.prunne: there is no such stage to delete; did you mean 'prune'?",
        "stages.train.training.epochs: is 'many'; a whole number is needed",
    ]


def test_an_interpolation_that_points_nowhere_comes_with_all_other_faults(row, capfd):
    with pytest.raises(PlanError) as caught:
        prepare(["recipe=row", "stages.train.training.lr=${nope}", "seed=abc"])
    assert [str(fault) for fault in caught.value.faults] == [
        "seed: is 'abc'; a whole number is needed",
        "stages.train.training.lr: is ${nope}, but there is no key 'nope'",
    ]
    assert capfd.readouterr().err == ""


def test_a_further_folder_brings_recipes_and_config_groups_of_its_own(folder):
    (folder / "extra" / "recipes").mkdir(parents=True)
    (folder / "extra" / "model").mkdir()
    (folder / "extra" / "model" / "tiny.yaml").write_text(
        "_target_: compressbench.zoo.alexnet.AlexNet\nbatch_norm: false\n"
        "dropout: 0.0\nconv_bias: true\nhidden: [8]\nweights: null\n"
    )
    (folder / "extra" / "recipes" / "tiny.yaml").write_text("extends: quickstart\nmodel: tiny\n")
    found = prepare(["recipe=tiny"], "extra")
    assert (found.config.recipe, found.config.model.hidden) == ("tiny", [8])


def test_it_writes_nothing_and_leaves_torch_alone(row, folder):
    work = "from compressbench.planning.prepare import prepare; prepare(['recipe=row'])"
    code = f"import sys; {work}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert [file.name for file in folder.iterdir()] == ["recipes"]
