"""The summary run of a sweep."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.record import RunRecord
from compressbench.tracking.send import send
from compressbench.tracking.store import Store, client
from compressbench.tracking.sweep import Axis, axis_of, points_of, send_sweep
from tests.tracking.records import record, written


def swept(*values: dict[str, str]) -> list[RunRecord]:
    return [replace(record(), sweeps={"s1": value}) for value in values]


def summaries(store: Store) -> list:
    api = client(store)
    return list(api.search_runs([api.get_experiment_by_name("table5").experiment_id], "tags.summary_of_sweep = 's1'"))


def test_fractions_become_percent_and_the_group_says_so() -> None:
    axis = axis_of(swept({"stages.prune.ratio": "0.1"}, {"stages.prune.ratio": "0.3"}))
    assert axis == Axis("stages.prune.ratio", 100)
    assert axis.group == "curve over ratio x 100"


def test_finer_fractions_get_a_finer_scale_and_whole_numbers_none() -> None:
    assert axis_of(swept({"lr": "0.001"}, {"lr": "0.03"})).scale == 1000
    assert axis_of(swept({"stages.quant.bits": "2"}, {"stages.quant.bits": "8"})) == Axis("stages.quant.bits", 1)


@pytest.mark.parametrize(
    "values",
    [
        [{"a": "1", "b": "1"}, {"a": "2", "b": "2"}],
        [{"stages.prune.technique": "pruning/l1_norm"}, {"stages.prune.technique": "pruning/random_filters"}],
        [{"lr": "1e-9"}, {"lr": "1"}],
        [{"lr": "nan"}, {"lr": "inf"}],
    ],
)
def test_what_fits_on_no_axis_is_counted(values: list[dict[str, str]]) -> None:
    assert axis_of(swept(*values)) == Axis("point")


def test_a_point_is_the_mean_over_its_seeds_and_failed_runs_are_left_out() -> None:
    runs = [record(ratio, seed, sweep="s1") for ratio in (0.5, 0.3) for seed in (0, 1)]
    runs[3] = replace(runs[3], status="failed")
    points = points_of(runs, axis_of(runs))
    assert [step for step, _ in points] == [30, 50]
    assert points[0][1]["top1"] == pytest.approx(0.9871)  # its other seed failed
    assert points[1][1]["top1"] == pytest.approx((0.9858 + 0.9848) / 2)


@pytest.mark.slow
def test_the_summary_carries_the_curve_a_table_a_plot_and_a_view(store: Store, outputs: Path) -> None:
    runs = [record(ratio, sweep="s1") for ratio in (0.1, 0.3, 0.5, 0.7, 0.9)]
    folder = outputs / "sweeps" / "s1"
    folder.mkdir(parents=True)
    for name in ("README.md", "points.csv", "top1_against_cost.png"):
        (folder / name).write_text(f"this is {name}")
    identity = send_sweep("s1", runs, store, folder)
    api = client(store)
    curve = api.get_metric_history(identity, "curve over ratio x 100/macs")
    assert [(point.step, point.value) for point in curve][:2] == [(10, 12_433_500), (30, 7_521_500)]
    found = api.get_run(identity)
    assert found.info.start_time == 1_772_366_523_000  # when its last run ended: the newest of the list
    assert found.info.run_name == "sweep of mnist_l1norm over ratio"
    assert found.data.params["sweep.stages.prune.ratio"] == "0.1, 0.3, 0.5, 0.7, 0.9"
    assert found.data.tags["sweep"] == "s1"
    assert found.data.tags["mlflow.note.content"].endswith("this is README.md")
    for name in ("points.csv", "plots/top1_against_cost.png"):
        assert Path(api.download_artifacts(identity, name, str(outputs))).read_text() == f"this is {Path(name).name}"
    assert "mlflow.sharedViewState.sweep-s1" in api.get_experiment_by_name("table5").tags


def test_a_sweep_that_has_grown_replaces_its_summary(store: Store, outputs: Path) -> None:
    runs = [record(ratio, sweep="s1") for ratio in (0.1, 0.3, 0.5)]
    folder = outputs / "sweeps" / "s1"
    first = send_sweep("s1", runs[:2], store, folder)
    assert send_sweep("s1", runs[:2], store, folder) == first
    second = send_sweep("s1", runs, store, folder)
    assert [found.info.run_id for found in summaries(store)] == [second]
    assert len(client(store).get_metric_history(second, "curve over ratio x 100/top1")) == 3


def test_a_run_of_two_sweeps_is_found_in_the_view_of_each(store: Store, outputs: Path) -> None:
    runs = [record(ratio, sweep="s1") for ratio in (0.1, 0.3, 0.5)]
    runs[1].sweeps["s2"] = runs[1].sweeps["s1"]
    runs[2].sweeps = {"s2": runs[2].swept}
    sent = [send(run, written(run, outputs), store) for run in runs]
    first = send_sweep("s1", [run.in_sweep("s1") for run in runs[:2]], store, outputs / "sweeps" / "s1")
    second = send_sweep("s2", [run.in_sweep("s2") for run in runs[1:]], store, outputs / "sweeps" / "s2")
    api = client(store)
    experiment = api.get_experiment_by_name("table5")
    for sweep, wanted in (("s1", [*sent[:2], first]), ("s2", [*sent[1:], second])):
        view = json.loads(json.loads(experiment.tags[f"mlflow.sharedViewState.sweep-{sweep}"])["state"])
        found = api.search_runs([experiment.experiment_id], view["searchFilter"])
        assert {run.info.run_id for run in found} == set(wanted)


def test_a_sweep_of_failures_still_has_a_summary(store: Store, outputs: Path) -> None:
    runs = [replace(record(ratio, sweep="s1"), status="failed", stages=[]) for ratio in (0.1, 0.3)]
    for run in runs:
        written(run, outputs)
    identity = send_sweep("s1", runs, store, outputs / "sweeps" / "s1")
    assert client(store).get_run(identity).info.status == "FAILED"


def test_a_sweep_of_nothing_is_refused(store: Store, outputs: Path) -> None:
    with pytest.raises(ValueError, match="has no runs"):
        send_sweep("s1", [], store, outputs / "sweeps" / "s1")
