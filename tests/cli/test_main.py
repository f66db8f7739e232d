"""The commands as people type them, most of them refused: what they print, and the exit code: 2 for bad input."""

from __future__ import annotations

import contextlib
import os
import pty
import sys
from pathlib import Path

import pytest

from compressbench.cli.main import VERBS, main
from tests.cli.commands import Captured, recipe, refused


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
    assert capsys.readouterr().out.startswith("compressbench run [-m] recipe=NAME|FILE.yaml")


def test_an_unknown_verb_is_met_with_the_nearest_one(capsys: Captured) -> None:
    assert "did you mean 'report'?" in refused(capsys, "reprot")


def test_an_unknown_recipe_is_met_with_the_nearest_one(capsys: Captured) -> None:
    assert "quickstart" in refused(capsys, "run", "recipe=quickstrat")


def test_all_faults_of_a_recipe_come_in_one_message(capsys: Captured) -> None:
    own = recipe(
        "extends: quickstart\n"
        "stages:\n  train: {lrr: 0.1, training: {batch_size: many}}\n  prune: {ratio: 1.5}\n"
        "budget: {parms: 3}\n"
    )
    said = refused(capsys, "run", own)
    for words in ("stages.train", "did you mean 'training.lr'", "many", "stages.prune", "1.5", "did you mean 'params'"):
        assert words in said


def test_an_unknown_key_on_the_command_line_is_met_with_the_nearest_one(capsys: Captured) -> None:
    assert "did you mean 'ratio'?" in refused(capsys, "run", "recipe=quickstart", "stages.prune.rato=0.3")
    assert "did you mean 'seed'?" in refused(capsys, "run", "recipe=quickstart", "sead=1")


def test_a_wrong_type_names_key_and_value(capsys: Captured) -> None:
    said = refused(capsys, "run", "recipe=quickstart", "stages.train.training.epochs=long")
    assert "stages.train" in said
    assert "long" in said


def test_a_device_that_is_not_there_is_refused(capsys: Captured) -> None:
    assert "device: is 'gpu'" in refused(capsys, "run", "recipe=quickstart", "debug=smoke", "device=gpu")


def test_an_unknown_layer_is_found_before_training(capsys: Captured) -> None:
    said = refused(capsys, "run", "recipe=quickstart", "stages.prune.ignore=[convv1]")
    assert "convv1" in said
    assert "conv1" in said.replace("convv1", "")
    assert not Path("outputs/runs").exists()


def test_fine_tuning_of_nothing_is_an_impossible_order(capsys: Captured) -> None:
    said = refused(
        capsys, "run", recipe("model: alexnet\ndataset: digits\nstages: {tune: {technique: training/finetune}}")
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
