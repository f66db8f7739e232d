"""One's own data from the command line: a class in `plugins.py`, a few lines of YAML, and what can be wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from compressbench.cli.main import main
from compressbench.core.record import RunRecord
from tests.cli.commands import Captured, recipe, refused
from tests.users_data import ROW, write_own_data

OFF = "tracking=off"


def record() -> RunRecord:
    (file,) = Path("outputs/runs").rglob("record.json")
    return RunRecord.read(file)


@pytest.mark.parametrize("kept", ["true", "false"])
def test_a_map_style_dataset_is_trained_on(capsys: Captured, kept: str) -> None:
    write_own_data()
    assert main(["run", recipe(ROW), OFF, f"dataset.in_memory={kept}"]) == 0
    found = record()
    assert found.final.metrics["top1"] > 0.9
    sizes = {"train_examples": 360, "validation_examples": 40, "test_examples": 100}
    assert {key: value for key, value in found.dataset.items() if key.endswith("examples")} == sizes
    assert found.dataset["name"] == "sines"


def test_debug_smoke_makes_examples_up_for_any_task() -> None:
    write_own_data()
    assert main(["run", recipe(ROW), OFF, "debug=smoke"]) == 0
    assert record().dataset["name"] == "made_up"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dataset.test.examples=0"], "dataset.test: gives no examples"),
        (["dataset.train.examples=0"], "dataset.train: gives no examples"),
        (["dataset.train.first=7"], "dataset.train, example 0: holds the label 7; allowed: 0 to 1"),
        (["dataset.train.first=-1", "dataset.in_memory=false"], "holds the label -1; allowed: 0 to 1"),
        (["dataset.task.length=9"], "is float32 [8, 1]; sequence_classification takes float32 [9, 1]"),
        (["dataset.train.exmaples=3"], "got an unexpected keyword argument 'exmaples'"),
        (["dataset.train._target_=plugins.Sins"], "plugins.Sins"),
        (["dataset.train._target_=os.system"], "may not be named"),
        (["dataset.train._target_=torchvision.datasets.Nothing"], "has no 'Nothing'"),
        (["dataset.task._target_=os.system"], "may not be named"),
        (["dataset.task.classes=1"], "classes is 1"),
        (["~dataset.task"], "dataset.task: has no value; a mapping with `_target_` is needed"),
        (["model=alexnet"], "takes in_channels, which sines does not have"),
    ],
)
def test_what_does_not_fit_is_one_clear_error_before_any_training(
    capsys: Captured, words: list[str], said: str
) -> None:
    write_own_data()
    assert said in refused(capsys, "run", recipe(ROW), OFF, *words)
    assert not list(Path().rglob("model.cbp"))


def test_a_label_that_is_changed_is_noticed(capsys: Captured) -> None:
    write_own_data()
    assert main(["run", recipe(ROW), OFF]) == 0
    before = record().dataset["fingerprint"]
    assert main(["run", recipe(ROW), OFF, "dataset.train.first=1"]) == 0
    assert record().dataset["fingerprint"] != before
    assert "nothing is trained again" not in capsys.readouterr().out


def test_a_loss_of_another_task_is_refused_with_those_there_are(capsys: Captured) -> None:
    write_own_data()
    said = refused(capsys, "run", recipe(ROW), OFF, "stages.train.training.loss=mse")
    assert "loss is 'mse'; allowed: cross_entropy, hinge, squared_hinge for sequence_classification" in said
