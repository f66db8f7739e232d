"""A sweep ends with its answer, which can be asked for again."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compressbench.app.sweep import Swept
from compressbench.cli.main import main
from compressbench.cli.run import show_answer
from compressbench.core.record import RunRecord
from compressbench.core.sweep import Outcome, SweepRecord
from compressbench.planning.prepare import prepare
from tests.cli.commands import Captured, recipe, refused
from tests.tracking.records import record

OWN = """\
model: lenet5
dataset: {name: synthetic, shape: [1, 28, 28]}
tracking: off
limits: {epochs: 1, steps: 2}
metrics: [accuracy, parameters, macs, size]
stages:
  train: {technique: training/from_scratch}
  prune: {technique: pruning/l1_norm, ratio: 0.5}
reference: {source: somebody, dataset: synthetic, top1: 0.9}
"""
SWEPT = SweepRecord("s1", [], [Outcome(1, {"stages.prune.ratio": "0.1"})])


def test_a_plot_that_fails_costs_no_sweep(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def broken(*_: object) -> Path:
        raise MemoryError("no room for a picture")

    monkeypatch.setattr("compressbench.reporting.plot.plot", broken)
    show_answer(Swept(SWEPT, [record(0.1, sweep="s1")], prepare(["outputs=there", "recipe=quickstart"]).settings))
    assert "no room for a picture" in capsys.readouterr().err
    assert Path("there/sweeps/s1/points.csv").is_file()


def swept(capsys: Captured, *words: str) -> tuple[int, list[str], list[str]]:
    """Run a sweep; return its exit code and the lines it printed, on stdout and on stderr."""
    code = main(["run", "-m", recipe(OWN), *words])
    printed = capsys.readouterr()
    return code, printed.out.splitlines(), printed.err.splitlines()


def test_a_missed_budget_is_a_result_of_a_sweep(capsys: Captured) -> None:
    code, said, _ = swept(capsys, "stages.prune.ratio=0.2,0.9", "budget.macs=200000")
    assert code == 0
    assert "1 of 2, ratio=0.2: started" in said
    assert any(line.startswith("1 of 2, ratio=0.2: done in ") and "budget missed: budget.macs" in line for line in said)
    assert any(line.startswith("2 of 2, ratio=0.9: done in ") and "budget met" in line for line in said)
    assert "1 of 2 points meet the budget (macs 200,000)" in said
    assert not [line for line in said if "published" in line]  # the figures of ratio 0.5


def test_a_failed_point_is_listed_with_its_reason_and_the_others_are_done(capsys: Captured) -> None:
    code, said, errors = swept(capsys, "stages.prune.ratio=1.5,0.5", "seed=0,1")
    assert code == 2
    assert [line for line in errors if line.startswith("1 of 4, ratio=1.5 seed=0: error: stages.prune: ratio is 1.5")]
    assert [line for line in said if line.strip().startswith("2 of 4, ratio=1.5 seed=1") and "ratio is 1.5" in line]
    [point] = [line.split() for line in said if line.startswith("  0.5 ")]
    assert point[1] == "2"  # seeds
    assert [line for line in said if "published" in line]  # ratio 0.5 is the row's own


def test_the_answer_can_be_had_again_in_every_format(capsys: Captured) -> None:
    assert swept(capsys, "stages.prune.ratio=0.2,0.9")[0] == 0
    folder = next(Path("outputs/sweeps").iterdir())
    names = ["README.md", "answer.html", "points.csv", "runs.csv", "sweep.json", "top1_against_cost.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    told = {}
    for style in ("rich", "markdown", "csv", "html"):
        assert main(["report", folder.name, "--format", style]) == 0
        told[style] = capsys.readouterr().out
    assert told["markdown"] == (folder / "README.md").read_text()
    assert told["csv"] == (folder / "points.csv").read_text()
    assert [row["stages.prune.ratio"] for row in csv.DictReader(io.StringIO(told["csv"]))] == ["0.2", "0.9"]
    assert told["html"] == (folder / "answer.html").read_text()
    assert '<script type="application/json">' in told["html"]
    assert main(["report", folder.name, "--sort", "size_bytes", "--format", "csv", "--html", "there/answer.html"]) == 0
    assert [row["stages.prune.ratio"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))] == ["0.9", "0.2"]
    assert Path("there/answer.html").read_text().count("<tr ") == told["html"].count("<tr ")
    assert "did you mean 'size_bytes'" in refused(capsys, "report", folder.name, "--sort", "size_byte")
    assert f"sweep {folder.name}: mine over ratio" in told["rich"]
    assert f"did you mean '{folder.name}'?" in refused(capsys, "report", f"{folder.name}x")
    assert "--commit" in refused(capsys, "report", folder.name, "--commit", "there")


@pytest.mark.slow
def test_a_run_of_two_sweeps_belongs_to_both(capsys: Captured) -> None:
    assert swept(capsys, "stages.prune.ratio=0.2,0.9")[0] == 0
    assert swept(capsys, "stages.prune.ratio=0.9,0.4")[0] == 0
    records = [RunRecord.read(path) for path in Path("outputs/runs").rglob("record.json")]
    sweeps = {path.name for path in Path("outputs/sweeps").iterdir()}
    by_ratio = {record.swept["stages.prune.ratio"]: set(record.sweeps) for record in records}
    assert by_ratio["0.9"] == sweeps
    assert len(by_ratio["0.2"]) == len(by_ratio["0.4"]) == 1
    for sweep in sweeps:
        assert main(["report", sweep, "--format", "csv"]) == 0
        assert "0.9" in {row["stages.prune.ratio"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}


@pytest.mark.slow
def test_lines_of_runs_in_processes_of_their_own_say_whose_they_are(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = ["run", "-m", recipe(OWN), "seed=0,-1", "launcher=local", "launcher.processes=2"]
    command = [sys.executable, "-m", "compressbench", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=os.environ, check=False)
    assert done.returncode == 2
    assert "1 of 2, seed=0: started" in done.stdout.splitlines()
    assert "2 of 2, seed=-1: error: seed: is -1; allowed: 0 or more" in done.stderr.splitlines()
    assert "1 of 2 runs failed" in done.stderr.splitlines()
