"""Networks that are no image classifiers, from the recipe to the packed file: better than chance before and after."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import compressbench
from compressbench.cli.main import main
from compressbench.core.record import RunRecord
from compressbench.data.python_topics import CHARACTERS, PythonTopics
from tests.cli.commands import Captured

pytestmark = pytest.mark.slow


def run(row: str, *words: str) -> tuple[RunRecord, Path]:
    """Return the record of a recipe in `recipes/tasks`, and its packed file."""
    assert main(["run", f"recipe=tasks/{row}", "tracking=off", "threads=1", *words]) == 0
    (file,) = Path("outputs/runs").rglob("record.json")
    return RunRecord.read(file), file.with_name("model.cbp")


def of(record: RunRecord, metric: str) -> tuple[float, float]:
    """Return a metric before compression, and of the final network."""
    return record.stages[0].metrics[metric], record.final.metrics[metric]


def test_a_gpt_is_pruned_shared_and_packed(capsys: Captured) -> None:
    short = ["stages.train.training.epochs=2", "stages.finetune.training.epochs=1"]
    record, file = run("topics_gpt", *short)
    guess = bits_of_letter_frequencies()
    assert all(bits < guess - 1 for bits in of(record, "bits_per_character"))
    assert "bits/char" in capsys.readouterr().out
    before, after = of(record, "size_bytes")
    assert after < before / 5
    model = compressbench.load(file)
    assert model.classes == list(CHARACTERS)
    with torch.inference_mode():
        assert model(torch.zeros(1, 64, dtype=torch.int64)).shape == (1, 64, 97)
    assert main(["evaluate", str(file), "threads=1"]) == 0
    assert "all is as the file notes" in capsys.readouterr().out


def bits_of_letter_frequencies() -> float:
    """Return the bits a character that who knows only how often each occurs needs on the test split."""
    splits = PythonTopics(64).load()
    counts = torch.bincount(splits.train.inputs.flatten(), minlength=97).double() + 1  # type: ignore[attr-defined]
    chances = (counts / counts.sum())[splits.test.targets]  # type: ignore[attr-defined]
    return float(-chances.log2().mean())


def test_an_lstm_reads_digits_row_by_row() -> None:
    record, _ = run("digits_lstm")
    assert all(top1 > 0.9 for top1 in of(record, "top1"))  # by chance 0.1
    before, after = of(record, "size_bytes")
    assert after < before / 8


def test_a_perceptron_says_how_far_diabetes_will_go() -> None:
    record, file = run("diabetes_mlp")
    assert all(mse < 0.75 for mse in of(record, "mse"))  # the mean of the training patients: 0.85
    assert all(r2 > 0.2 for r2 in of(record, "r2"))
    before, after = of(record, "size_bytes")
    assert after < before / 8
    assert compressbench.load(file).classes == ["disease progression"]
