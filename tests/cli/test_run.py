"""Checks, runs and sweeps as people type them: what they print, and the exit code: 0 done, 1 failed, 2 bad input."""

from __future__ import annotations

import resource
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from compressbench.cli.main import main
from compressbench.core.record import RunRecord
from compressbench.planning.launch import sweep_id
from compressbench.vision import torchvision
from tests.cli.commands import Captured, recipe, refused


def test_check_predicts_without_training(capsys: Captured) -> None:
    assert main(["check", "recipe=table5/cifar10_l1norm_50", "debug=smoke"]) == 0
    printed = capsys.readouterr().out
    assert "1,045,802" in printed  # counted by hand from the survey's table
    assert "38,561,310" in printed
    assert not Path("outputs/runs").exists()


def test_check_holds_the_budget_against_the_prediction(capsys: Captured) -> None:
    assert "budget.params" in refused(capsys, "check", "recipe=quickstart", "budget.params=1000")
    assert "budget.epochs" in refused(capsys, "check", "recipe=quickstart", "budget.epochs=3")


def test_a_download_that_fails_is_one_message(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision("datasets").CIFAR10, "url", "http://127.0.0.1:9/cifar.tar.gz")
    words = ["recipe=table5/cifar10_l1norm_30", "dataset.download=true", "dataset.root=mine", "tracking=off"]
    assert main(["check", *words]) == 0
    capsys.readouterr()
    said = refused(capsys, "run", *words)
    assert "dataset.download: downloading cifar10 to " in said
    assert "dataset.root=FOLDER" in said


def test_a_run_is_recorded_tracked_and_shown_and_not_trained_again(capsys: Captured) -> None:
    words = ["run", "recipe=quickstart", "debug=smoke"]
    assert main(words) == 0
    first = capsys.readouterr().out
    assert "finetune" in first
    assert "compressbench ui" in first
    assert main(words) == 0
    assert "nothing is trained again" in capsys.readouterr().out
    record = RunRecord.read(next(Path("outputs/runs").rglob("record.json")))
    assert record.protocol == "smoke"
    assert record.final.metrics["params_without_bn"] == 1_030_314
    assert Path("outputs/mlflow.db").exists()


def test_outputs_that_cannot_be_made_are_named(capsys: Captured) -> None:
    Path("file").write_text("")
    for words in ([], ["-m", "seed=1,2"]):
        said = refused(capsys, "run", "recipe=quickstart", "debug=smoke", "tracking=off", "outputs=file/there", *words)
        assert "outputs: cannot be written: " in said
        assert "file" in said


def test_a_missed_budget_is_an_error_after_the_result_is_safe(capsys: Captured) -> None:
    words = ["recipe=quickstart", "debug=smoke", "tracking=off", "budget.size_bytes=1000"]
    assert main(["run", *words]) == 1
    assert "size_bytes" in capsys.readouterr().err
    assert list(Path("outputs/runs").rglob("model.cbp"))


@pytest.mark.slow
def test_a_sweep_shares_its_baseline_and_ends_with_a_summary(capsys: Captured) -> None:
    words = ["run", "-m", "recipe=quickstart", "debug=smoke", "stages.prune.ratio=0.2,0.6"]
    assert main(words) == 0
    records = [RunRecord.read(path) for path in Path("outputs/runs").rglob("record.json")]
    assert sorted(record.swept["stages.prune.ratio"] for record in records) == ["0.2", "0.6"]
    assert len({record.stages[0].stage_id for record in records}) == 1
    assert sorted(record.stages[0].cached for record in records) == [False, True]
    folder = next(Path("outputs/sweeps").iterdir())
    assert list(folder.glob("*.png"))
    capsys.readouterr()
    assert main(words) == 0
    assert capsys.readouterr().out.count("nothing is trained again") == 2


def test_a_failed_run_of_a_sweep_does_not_stop_the_others(capsys: Captured) -> None:
    """And what the recipe says of tracking and outputs holds for the summary too."""
    own = recipe("extends: quickstart\ntracking: off\noutputs: there\n")
    assert main(["run", "-m", own, "debug=smoke", "stages.prune.ratio=1.5,0.5"]) == 2
    said = capsys.readouterr().err
    assert "1.5" in said
    assert "1 of 2 runs failed" in said
    assert len(list(Path("there/runs").rglob("record.json"))) == 1
    assert not list(Path().rglob("mlflow.db"))


def test_a_sweep_is_known_by_what_it_computes_and_not_by_how_it_is_run() -> None:
    words = ["recipe=quickstart", "seed=0,1"]
    assert sweep_id(words) == sweep_id(
        [*words, "launcher=slurm", "launcher.cpus=2", "hydra/launcher=joblib", "outputs=/elsewhere", "tracking=off"]
    )
    assert sweep_id(words) != sweep_id([*words, "~stages.finetune"])


def pets(root: str, images: int) -> None:
    """Make a small folder of images, so many a class."""
    for split in ("train", "test"):
        for kind in ("cat", "dog"):
            folder = Path(root, "pets", split, kind)
            folder.mkdir(parents=True)
            for number in range(images):
                Image.new("RGB", (28, 28), (number, 0, 0)).save(folder / f"{number}.png")


def test_a_finished_run_is_not_taken_for_another_one(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other data behind the same configuration, and a protocol that only the command line tells apart."""
    pets("a", 4)
    pets("b", 5)
    own = recipe(
        "model: lenet5\ntracking: off\n"
        "dataset: {name: image_folder, classes: 2, image_size: 28, in_memory: true}\n"
        "stages: {train: {technique: training/from_scratch, training: {batch_size: 4, epochs: 1}}}\n"
    )
    words = ["run", own, "dataset.name=pets", "dataset.validation_share=0"]
    for root in ("a", "b"):
        monkeypatch.setenv("COMPRESSBENCH_DATA", root)
        assert main(words) == 0
    record = RunRecord.read(next(Path("outputs/runs").rglob("record.json")))
    assert (record.dataset["train_examples"], record.protocol) == (10, "")
    assert main([*words, "stages.train.training.epochs=1"]) == 0
    record = RunRecord.read(next(Path("outputs/runs").rglob("record.json")))
    assert record.protocol == "custom"
    capsys.readouterr()
    assert main([*words, "stages.train.training.epochs=1"]) == 0
    assert "nothing is trained again" in capsys.readouterr().out


@pytest.fixture
def small_disk() -> Iterator[None]:
    """A limit on the size of files stands in for a full disk: both make the write itself fail."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_ends_the_run_with_the_path_and_the_bytes_needed(capsys: Captured) -> None:
    assert main(["run", "recipe=quickstart", "debug=smoke", "tracking=off"]) == 1
    printed = capsys.readouterr().err
    assert "cannot write" in printed
    assert "bytes" in printed
    assert "Traceback" not in printed
    assert not list(Path("outputs").rglob("*.cbp"))


def test_a_warning_is_one_line_without_the_place_in_the_code() -> None:
    assert main(["run", "recipe=quickstart", "debug=smoke", "tracking=off"]) == 0
    assert (
        warnings.formatwarning("it is computed again", UserWarning, "cache.py", 3) == "warning: it is computed again\n"
    )
