"""A metric of the user's own is in the record, in MLflow, in every table, and a budget may limit it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compressbench.cli.main import main
from compressbench.core.record import RunRecord
from compressbench.reporting.run_table import in_a_line, stage_grid
from compressbench.reporting.table import report
from compressbench.tracking.store import chosen, client
from tests.cli.commands import Captured, recipe, refused
from tests.users_plugins import NET, write_plugins

ENERGY = """

from dataclasses import dataclass
from typing import ClassVar

from compressbench.core.metric import MetricSpec, MetricValue


@dataclass(frozen=True)
class Energy:
    predictable: ClassVar[bool] = True
    of_each: float = 0.5

    def specs(self, task):
        return (MetricSpec("energy_mj", "mJ", higher_is_better=False, heading="energy, mJ", limit=True),)

    def measure(self, given):
        parameters = sum(each.numel() for each in given.subject.model.parameters())
        return [MetricValue(self.specs(given.task)[0], parameters * self.of_each)]


@dataclass(frozen=True)
class Broken(Energy):
    def measure(self, given):
        return [MetricValue(self.specs(given.task)[0], FOUND)]
"""
MINE = """\
model: {_target_: plugins.Net, width: 3}
dataset: digits
metrics: [accuracy, size, plugins.Energy]
stages:
  train: {technique: training/from_scratch, training: {epochs: 1, batch_size: 32}}
  prune: {technique: pruning/magnitude, ratio: 0.5}
budget: {energy_mj: 200}
"""
SHORT = ["limits.steps=2"]
PARAMETERS = 64 * 3 + 3 + 3 * 10 + 10  # 235
MJ = 117.5


@pytest.fixture(autouse=True)
def mine() -> str:
    write_plugins(NET + ENERGY.replace("FOUND", "float('nan')"))
    return recipe(MINE)


def records() -> list[RunRecord]:
    return [RunRecord.read(file) for file in sorted(Path("outputs/runs").rglob("record.json"))]


@pytest.mark.slow
def test_it_is_in_the_record_in_mlflow_in_the_table_of_the_run_and_in_the_report(mine: str, capsys: Captured) -> None:
    assert PARAMETERS * 0.5 == MJ
    assert main(["run", mine, *SHORT]) == 0
    [record] = records()
    assert [stage.metrics["energy_mj"] for stage in record.stages] == [MJ, MJ]
    assert record.metric_specs["energy_mj"].heading == "energy, mJ"
    printed = capsys.readouterr().out.split()
    assert {"energy,", "mJ"} <= set(printed)  # a heading may take two lines
    api = client(chosen(Path("outputs").absolute(), None, 10, 1, 30))
    [experiment] = api.search_experiments(filter_string="name = 'mine'")
    [run] = api.search_runs([experiment.experiment_id])
    assert (run.data.metrics["energy_mj"], run.data.metrics["prune/energy_mj"]) == (MJ, MJ)
    assert run.data.metrics["energy_mj_ratio"] == 1.0
    assert run.data.tags["primary_metric"] == "top1"
    view = json.loads(json.loads(experiment.tags["mlflow.sharedViewState.results"])["state"])
    assert "metrics.`energy_mj`" in view["selectedColumns"]
    assert main(["report", "mine", "--format", "markdown"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    place = lines[0].split(" | ").index("energy, mJ")
    assert lines[1].split(" | ")[place] == "117.5"


@pytest.mark.slow
def test_it_is_shown_from_the_record_alone(mine: str) -> None:
    assert main(["run", mine, *SHORT, "tracking=off"]) == 0
    Path("plugins.py").unlink()
    [record] = records()
    grid = stage_grid(record)
    assert grid.rows[-1][grid.headings.index("energy, mJ")] == "117.5"
    assert "117.5 energy, mJ" in in_a_line(record)
    text = str(report(".", Path("outputs"), [], {}, "markdown"))
    assert "| energy, mJ |" in text


@pytest.mark.slow
def test_a_sweep_ends_with_it_and_says_which_points_keep_its_limit(mine: str, capsys: Captured) -> None:
    assert main(["run", "-m", mine, *SHORT, "tracking=off", "model.width=3,30"]) == 0
    said = capsys.readouterr().out
    assert "energy, mJ" in said.replace("\n", " ")
    assert "1 of 2 points meet the budget (energy_mj 200)" in said
    assert "plot: " in said


def test_a_limit_that_is_known_to_be_missed_refuses_the_run_before_any_training(mine: str, capsys: Captured) -> None:
    said = refused(capsys, "run", mine, "budget.energy_mj=100", "budget.enrgy_mj=1", "budget.macs=5")
    assert "budget.enrgy_mj: there is no such limit; did you mean 'energy_mj'?" in said
    assert "budget.macs: is measured by 'macs', which is not among the plan's metrics" in said
    said = refused(capsys, "run", mine, "budget.energy_mj=100")
    assert "budget.energy_mj: the result will have 117.5000; the limit is 100" in said
    assert records() == []


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ("float('nan')", "returns something that is no finite number as energy_mj (nan)"),
        ("None", "returns something that is no finite number as energy_mj (None)"),
    ],
)
def test_no_number_is_one_error_that_names_the_metric(found: str, why: str, capsys: Captured) -> None:
    write_plugins(NET + ENERGY.replace("FOUND", found))
    broken = recipe(
        MINE.replace("plugins.Energy", "plugins.Broken").replace("budget: {energy_mj: 200}\n", ""), "broken"
    )
    said = refused(capsys, "run", broken, *SHORT, "tracking=off")
    assert f"the metric 'plugins.Broken' {why}" in said
