"""The commands as people type them: what they print, and the exit code: 0 done, 1 a run failed, 2 bad input."""

from __future__ import annotations

import contextlib
import os
import pty
import resource
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image

from compressbench.cli.main import VERBS, main
from compressbench.cli.sweep import sweep_id
from compressbench.core.record import RunRecord

Captured = pytest.CaptureFixture[str]


def refused(capsys: Captured, *words: str) -> str:
    """Return what a command that must be refused as bad input prints."""
    assert main(list(words)) == 2
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    return printed.err


def recipe(text: str, name: str = "mine") -> str:
    """Write a recipe into the user's own folder and return the override that names it."""
    Path("recipes").mkdir(exist_ok=True)
    Path(f"recipes/{name}.yaml").write_text(f"# A recipe of the user's.\n{text}")
    return f"recipe={name}"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, capsys: Captured) -> None:
    try:
        code = main([verb, "--help"])
    except SystemExit as stop:  # argparse's way
        code = int(stop.code or 0)
    assert code == 0
    assert f"compressbench {verb}" in capsys.readouterr().out


def test_help_may_be_asked_for_behind_a_recipe(capsys: Captured) -> None:
    assert main(["run", "-m", "recipe=quickstart", "--help"]) == 0
    assert capsys.readouterr().out.startswith("compressbench run [-m] recipe=NAME")


def test_an_unknown_verb_is_met_with_the_nearest_one(capsys: Captured) -> None:
    assert "did you mean 'report'?" in refused(capsys, "reprot")


def test_an_unknown_recipe_is_met_with_the_nearest_one(capsys: Captured) -> None:
    assert "quickstart" in refused(capsys, "run", "recipe=quickstrat")


def test_all_faults_of_a_recipe_come_in_one_message(capsys: Captured) -> None:
    own = recipe(
        "extends: quickstart\n"
        "stages:\n  train: {lrr: 0.1, batch_size: many}\n  prune: {ratio: 1.5}\n"
        "budget: {parms: 3}\n"
    )
    said = refused(capsys, "run", own)
    for words in ("stages.train", "did you mean 'lr'", "many", "stages.prune", "1.5", "did you mean 'params'"):
        assert words in said


def test_an_unknown_key_on_the_command_line_is_met_with_the_nearest_one(capsys: Captured) -> None:
    assert "did you mean 'ratio'?" in refused(capsys, "run", "recipe=quickstart", "stages.prune.rato=0.3")
    assert "did you mean 'seed'?" in refused(capsys, "run", "recipe=quickstart", "sead=1")


def test_a_wrong_type_names_key_and_value(capsys: Captured) -> None:
    said = refused(capsys, "run", "recipe=quickstart", "stages.train.epochs=long")
    assert "stages.train" in said
    assert "long" in said


def test_a_device_that_is_not_there_is_refused(capsys: Captured) -> None:
    assert "device: is 'gpu'" in refused(capsys, "run", "recipe=quickstart", "debug=smoke", "device=gpu")


def test_an_unknown_layer_is_found_before_training(capsys: Captured) -> None:
    said = refused(capsys, "run", "recipe=quickstart", "stages.prune.keep=[convv1]")
    assert "convv1" in said
    assert "conv1" in said.replace("convv1", "")
    assert not Path("outputs/runs").exists()


def test_fine_tuning_of_nothing_is_an_impossible_order(capsys: Captured) -> None:
    said = refused(
        capsys, "run", recipe("model: alexnet\ndataset: digits\nstages: {tune: {technique: tuning/finetune}}")
    )
    assert "stages.tune" in said
    assert "trained" in said


def test_pruning_the_same_weights_away_twice_is_an_impossible_order(capsys: Captured) -> None:
    own = recipe(
        "extends: quickstart\nstages:\n"
        "  prune: {technique: pruning/magnitude, ratio: 0.5}\n  again: {technique: pruning/magnitude, ratio: 0.5}\n"
    )
    said = refused(capsys, "run", own)
    assert "stages.again" in said
    assert "again" in said.split("stages.again")[1]


def test_a_missing_dataset_says_where_it_looked_and_how_to_get_it(capsys: Captured, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.delenv("COMPRESSBENCH_DATA", raising=False)
    said = refused(capsys, "run", "recipe=table5/mnist_l1norm_50", "dataset.root=/nowhere")
    assert "/nowhere" in said
    assert "dataset.root" in said
    assert "download" in said


def test_an_image_folder_that_cannot_be_read_names_the_file(capsys: Captured) -> None:
    for split in ("train", "test"):
        for kind in ("cat", "dog"):
            Path(f"pets/{split}/{kind}").mkdir(parents=True)
            Path(f"pets/{split}/{kind}/1.jpg").write_bytes(b"no picture")
    words = [
        "dataset=image_folder",
        "dataset.name=pets",
        "dataset.root=pets",
        "dataset.classes=2",
        "dataset.image_size=32",
    ]
    said = refused(capsys, "run", "recipe=quickstart", *words, "dataset.in_memory=true")
    assert "1.jpg" in said


def test_check_predicts_without_training(capsys: Captured) -> None:
    assert main(["check", "recipe=table5/cifar10_l1norm_50", "debug=smoke"]) == 0
    printed = capsys.readouterr().out
    assert "1,045,802" in printed  # counted by hand from the survey's table
    assert "38,561,310" in printed
    assert not Path("outputs/runs").exists()


def test_check_holds_the_budget_against_the_prediction(capsys: Captured) -> None:
    assert "budget.params" in refused(capsys, "check", "recipe=quickstart", "budget.params=1000")
    assert "budget.epochs" in refused(capsys, "check", "recipe=quickstart", "budget.epochs=3")


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
    assert record.final.measurements["params_without_bn"] == 1_030_314
    assert Path("outputs/mlflow.db").exists()


def test_a_missed_budget_is_an_error_after_the_result_is_safe(capsys: Captured) -> None:
    words = ["recipe=quickstart", "debug=smoke", "tracking=off", "budget.size_bytes=1000"]
    assert main(["run", *words]) == 1
    assert "size_bytes" in capsys.readouterr().err
    assert list(Path("outputs/runs").rglob("model.cbp"))


def test_a_sweep_shares_its_baseline_and_ends_with_a_summary(capsys: Captured) -> None:
    words = ["run", "-m", "recipe=quickstart", "debug=smoke", "stages.prune.ratio=0.2,0.6"]
    assert main(words) == 0
    records = [RunRecord.read(path) for path in Path("outputs/runs").rglob("record.json")]
    assert sorted(record.swept["stages.prune.ratio"] for record in records) == ["0.2", "0.6"]
    assert len({record.stages[0].stage_id for record in records}) == 1
    assert sorted(record.stages[0].cached for record in records) == [False, True]
    folder = next(Path("outputs/sweeps").iterdir())
    assert list(folder.glob("*.png"))
    (folder / "points" / "older").write_text("a run of what the recipe was before")
    capsys.readouterr()
    assert main(words) == 0
    assert capsys.readouterr().out.count("nothing is trained again") == 2


def test_a_failed_run_of_a_sweep_does_not_stop_the_others(capsys: Captured) -> None:
    """And what the recipe says of tracking and outputs holds for the summary too."""
    own = recipe("extends: quickstart\ntracking: off\noutputs: there\n")
    assert main(["run", "-m", own, "debug=smoke", "stages.prune.ratio=1.5,0.5"]) == 2
    said = capsys.readouterr().err
    assert "1.5" in said
    assert "1 runs" in said
    assert len(list(Path("there/runs").rglob("record.json"))) == 1
    assert not list(Path().rglob("mlflow.db"))


def test_a_sweep_is_known_by_what_it_computes_and_not_by_how_it_is_run() -> None:
    words = ["recipe=quickstart", "seed=0,1"]
    assert sweep_id(words) == sweep_id([*words, "hydra/launcher=joblib", "outputs=/elsewhere", "tracking=off"])
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
        "stages: {train: {technique: tuning/from_scratch, batch_size: 4, epochs: 1}}\n"
    )
    words = ["run", own, "dataset.name=pets", "dataset.validation_share=0"]
    for root in ("a", "b"):
        monkeypatch.setenv("COMPRESSBENCH_DATA", root)
        assert main(words) == 0
    record = RunRecord.read(next(Path("outputs/runs").rglob("record.json")))
    assert (record.dataset["train_images"], record.protocol) == (10, "paper")
    assert main([*words, "stages.train.epochs=1"]) == 0
    record = RunRecord.read(next(Path("outputs/runs").rglob("record.json")))
    assert record.protocol == "custom"
    capsys.readouterr()
    assert main([*words, "stages.train.epochs=1"]) == 0
    assert "nothing is trained again" in capsys.readouterr().out


def test_a_report_without_runs_says_not_run_and_shows_the_published_figures(capsys: Captured) -> None:
    recipe("extends: table5/mnist_l1norm_50\n", "mine5")
    Path("recipes/own").mkdir()
    Path("recipes/own/row.yaml").write_text("# A row.\nextends: table5/mnist_l1norm_50\n")
    assert main(["report", "own", "--format", "csv"]) == 0
    printed = capsys.readouterr().out
    assert "not run" in printed
    assert "0.9853" in printed


def test_an_unknown_table_is_met_with_the_nearest_one(capsys: Captured) -> None:
    assert "table5" in refused(capsys, "report", "tabel5")


def test_completion_in_a_real_bash(tmp_path: Path) -> None:
    """bash takes `=` for the end of a word: what is offered must begin where the word does."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TERM": "dumb"}
        os.execvp("bash", ["bash", "--norc", "--noprofile"])
    keys = [
        'eval "$(compressbench completion)"\n',
        "compressbench ru\t",
        "recipe=quick\t",
        "stages.prune.technique=pruning/l1\t",
        "~stages.fi\t",
        "\x01printf '%s;' \x05 >typed\nexit\n",  # from the start of the line: do not run it, but show its words
    ]
    with open(terminal, "r+b", buffering=0) as line:
        for key in keys:
            line.write(key.encode())
        with contextlib.suppress(OSError):  # how a terminal that was left says so
            while line.read(1024):
                pass
    os.waitpid(process, 0)
    expected = [
        "compressbench",
        "run",
        "recipe=quickstart",
        "stages.prune.technique=pruning/l1_norm",
        "~stages.finetune",
    ]
    assert Path("typed").read_text() == "".join(f"{word};" for word in expected)


def _small_files_only() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


def test_a_full_disk_ends_the_run_with_the_path_and_the_bytes_needed() -> None:
    """A limit on the size of files stands in for the disk: both make the write itself fail."""
    words = ["run", "recipe=quickstart", "debug=smoke", "tracking=off"]
    done = subprocess.run(
        [sys.executable, "-m", "compressbench", *words],
        capture_output=True,
        text=True,
        preexec_fn=_small_files_only,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "bytes" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(Path("outputs").rglob("*.cbp"))


def test_a_warning_is_one_line_without_the_place_in_the_code() -> None:
    assert main(["run", "recipe=quickstart", "debug=smoke", "tracking=off"]) == 0
    assert (
        warnings.formatwarning("it is computed again", UserWarning, "cache.py", 3) == "warning: it is computed again\n"
    )
