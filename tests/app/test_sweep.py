"""`compressbench.sweep`: a row a run."""

from __future__ import annotations

from pathlib import Path

import pytest

import compressbench
from compressbench.cli.main import main
from compressbench.core.record import RunRecord
from tests.app.own import OWN
from tests.cli.commands import recipe

RATIOS = {"stages.prune.ratio": [0.25, 0.5], "seed": [0, 1]}


def test_every_combination_is_a_row_with_the_figures_of_its_record() -> None:
    runs = compressbench.sweep(OWN, RATIOS, progress=False)
    assert list(zip(runs["stages.prune.ratio"], runs["seed"], strict=True)) == [
        (0.25, 0),
        (0.25, 1),
        (0.5, 0),
        (0.5, 1),
    ]
    assert set(runs["status"]) == {"finished"}
    for _, row in runs.iterrows():
        record = RunRecord.read(Path("outputs/runs", row["run"], "record.json"))
        assert (record.seed, record.swept["stages.prune.ratio"]) == (row["seed"], str(row["stages.prune.ratio"]))
        assert row["top1"] == record.final.metrics["top1"]
        assert row["params_before"] == record.stages[0].metrics["params"] > row["params"]


def test_a_run_that_fails_says_why_and_the_others_are_there(recwarn: pytest.WarningsRecorder) -> None:
    runs = compressbench.sweep(OWN, {"stages.prune.ratio": [1.5, 0.5]}, progress=False)
    assert list(runs["status"]) == ["failed", "finished"]
    assert runs["error"][0].startswith("stages.prune: ratio is 1.5")
    assert runs["run"][0] == runs["error"][1] == ""
    assert runs["top1"].isna().tolist() == [True, False]


def test_a_missed_budget_is_a_result() -> None:
    runs = compressbench.sweep(OWN, {"seed": [0]}, ["budget.size_bytes=1000"], progress=False)
    assert runs["missed"][0].startswith("budget.size_bytes is 1,000")
    assert runs["status"][0] == "finished"


def test_it_is_the_sweep_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The same runs in the same cache, and the same answer."""
    named = recipe("extends: quickstart\ntracking: off\nmetrics: [accuracy, parameters, size]\n")
    assert main(["run", "-m", named, "debug=smoke", "stages.prune.ratio=0.2,0.6"]) == 0
    [folder] = Path("outputs/sweeps").iterdir()
    started = {RunRecord.read(path).started for path in Path("outputs/runs").rglob("record.json")}
    runs = compressbench.sweep("mine", {"stages.prune.ratio": [0.2, 0.6]}, ["debug=smoke"], progress=False)
    assert [path.name for path in Path("outputs/sweeps").iterdir()] == [folder.name]
    assert {RunRecord.read(Path("outputs/runs", run, "record.json")).started for run in runs["run"]} == started
    capsys.readouterr()
    assert main(["report", folder.name, "--format", "csv"]) == 0
    assert "0.6" in capsys.readouterr().out


def test_values_of_every_kind_can_be_swept() -> None:
    layers = [["conv1"], []]
    runs = compressbench.sweep(OWN, {"stages.prune.ignore": layers}, progress=False)
    assert runs["stages.prune.ignore"].tolist() == layers
    assert runs["params"][0] > runs["params"][1]


def test_what_cannot_be_swept_is_refused_before_anything_runs() -> None:
    with pytest.raises(compressbench.PlanError, match="seed: has no values"):
        compressbench.sweep(OWN, {"seed": []})
    with pytest.raises(compressbench.PlanError, match="seed: a object cannot be written in a recipe"):
        compressbench.sweep(OWN, {"seed": [object()]})
    with pytest.raises(compressbench.PlanError, match="did you mean 'seed'"):
        compressbench.sweep(OWN, {"sede": [1, 2]})
    assert not Path("outputs/runs").exists()
