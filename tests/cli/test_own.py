"""What is the user's own: a folder of pictures in a recipe, and a recipe given by the path to its file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from compressbench.cli.main import main
from compressbench.core.record import RunRecord
from compressbench.planning.catalogue import recipe_folders
from tests.cli.commands import Captured, recipe, refused
from tests.data.folders import write_folder

PETS = """\
model: lenet5
dataset: {name: image_folder, root: pets, image_size: 28}
stages:
  train: {technique: training/from_scratch, training: {epochs: 1, batch_size: 4}}
  prune: {technique: pruning/magnitude, ratio: 0.5}
"""
SHORT = ["limits.steps=2", "tracking=off"]


def records() -> list[RunRecord]:
    return [RunRecord.read(file) for file in sorted(Path("outputs/runs").rglob("record.json"))]


def test_an_own_recipe_trains_on_an_own_folder_of_pictures(capsys: Captured) -> None:
    write_folder(Path("pets"), {"train": 10, "test": 2}, ("cat", "dog", "eel"))
    assert main(["run", recipe(PETS), *SHORT]) == 0
    (record,) = records()
    assert (record.dataset["name"], record.plan["dataset"]["classes"]) == ("pets", 3)
    assert [record.dataset[f"{split}_examples"] for split in ("train", "validation", "test")] == [27, 3, 6]
    assert "mine  pets" in capsys.readouterr().out


def test_an_own_folder_is_named_on_the_command_line_too(capsys: Captured) -> None:
    write_folder(Path("pets"), {"train": 10, "test": 2})
    words = ["dataset=image_folder", "dataset.root=pets", "dataset.image_size=32"]
    assert main(["check", "recipe=quickstart", *words, "dataset.classes=2"]) == 0
    assert "on pets (3 x 32 x 32)" in capsys.readouterr().out
    assert "has 2 class folders; dataset.classes is 3" in refused(
        capsys, "check", "recipe=quickstart", *words, "dataset.classes=3"
    )


def test_a_packed_network_is_evaluated_on_an_own_folder(capsys: Captured) -> None:
    write_folder(Path("pets"), {"train": 10, "test": 2})
    assert main(["run", recipe(PETS), *SHORT]) == 0
    file, words = next(Path("outputs/runs").rglob("model.cbp")), ["dataset.root=pets", "dataset.image_size=28"]
    assert main(["evaluate", str(file), "dataset=image_folder", *words]) == 0
    assert "all is as the file notes" in capsys.readouterr().out
    shutil.rmtree("pets")
    assert "pets is not there: looked for" in refused(capsys, "evaluate", str(file), "dataset=image_folder", *words)


@pytest.mark.slow
def test_a_recipe_is_named_by_the_path_to_its_file_too(capsys: Captured) -> None:
    ours = recipe_folders()[-1]
    for path in (ours / "table5/mnist_l1norm_50.yaml", "recipes/mine.yaml", "./recipes/mine.yaml", "my own (1).yaml"):
        recipe("extends: quickstart\nbudget: {epochs: 100}\n")
        Path("my own (1).yaml").write_text("# A row beside the table.\nextends: quickstart\n")
        assert main(["check", f"recipe={path}", "debug=smoke"]) == 0
    heads = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines() if "alexnet" in line]
    assert heads == ["table5/mnist_l1norm_50", "mine", "mine", "my own (1)"]


@pytest.mark.slow
def test_a_recipe_by_its_path_is_the_same_run(capsys: Captured) -> None:
    named = recipe("extends: quickstart\nlimits: {epochs: 1, steps: 1}\n")
    assert main(["run", named, "tracking=off"]) == 0
    assert main(["run", f"recipe={Path('recipes/mine.yaml').absolute()}", "tracking=off"]) == 0
    assert len(records()) == 1
    assert "nothing is trained again" in capsys.readouterr().out


def test_a_file_wins_over_a_recipe_of_that_name() -> None:
    Path("quickstart.yaml").write_text("# Not ours.\nextends: quickstart\nseed: 5\n")
    assert main(["run", "recipe=quickstart.yaml", "tracking=off", "debug=smoke"]) == 0
    assert [(record.recipe, record.table, record.row, record.seed) for record in records()] == [
        ("quickstart", ".", "quickstart", 5)
    ]


def test_a_recipe_that_is_not_there_says_where_it_looked(capsys: Captured) -> None:
    recipe("extends: quickstart\n")
    said = refused(capsys, "run", "recipe=./recipes/mien.yaml")
    assert "did you mean './recipes/mine.yaml'?" in said
    assert f"looked in {Path('recipes/mien.yaml').absolute()}, {Path('recipes').absolute()}" in said
    assert f"looked in {Path('recipes').absolute()}, " in refused(capsys, "run", "recipe=mien")
