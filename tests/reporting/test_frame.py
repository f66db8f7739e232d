"""Records as data frames."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compressbench.core.record import RunRecord
from compressbench.reporting.frame import points_frame, runs_frame
from tests.reporting.made import made_record

RATIO = "stages.prune.ratio"


def point(ratio: float, seed: int, after: float, size: float, missed: tuple[str, ...] = ()) -> RunRecord:
    run = made_record(seed, after=after, counts={"size_bytes": size})
    run.plan["budget"] = {"size_bytes": 4_000_000}
    sentences = [f"budget.{name} is 1, but the result has 2" for name in missed]
    return replace(run, sweeps={"s1": {RATIO: str(ratio), "seed": str(seed)}}, missed=sentences)


def test_a_run_is_a_row_with_what_was_swept_and_what_became_of_its_accuracy() -> None:
    [row] = runs_frame([point(0.5, 1, 0.98, 5e6, ("size_bytes",))]).to_dict("records")
    assert (row[RATIO], row["seed"], row["dataset"], row["missed"]) == ("0.5", 1, "mnist", "size_bytes")
    assert row["top1_change"] == pytest.approx(0.98 - 0.987)


def test_seeds_are_averaged_and_a_single_seed_has_no_spread() -> None:
    runs = [point(0.5, 0, 0.98, 5e6), point(0.5, 1, 0.96, 5e6), point(0.7, 0, 0.95, 3e6)]
    points = points_frame(runs, [RATIO, "seed"]).set_index(RATIO)
    assert list(points["seeds"]) == [2, 1]
    assert points.loc["0.5", "top1"] == pytest.approx(0.97)
    assert points.loc["0.5", "top1_spread"] == pytest.approx(0.014142)
    assert points["top1_spread"].isna().to_list() == [False, True]


def test_best_is_what_no_point_beats_in_accuracy_and_size_on_the_same_data() -> None:
    runs = [point(0.3, 0, 0.97, 6e6), point(0.5, 0, 0.98, 5e6), point(0.7, 0, 0.95, 3e6)]
    other = replace(point(0.9, 0, 0.10, 9e6), dataset={"name": "cifar10"})
    points = points_frame([*runs, other], [RATIO])
    assert list(points["pareto"]) == [False, True, True, True]


def test_a_point_meets_the_budget_if_all_its_seeds_do() -> None:
    runs = [point(0.1, 0, 0.9, 5e6, ("size_bytes", "macs")), point(0.5, 0, 0.9, 5e6, ("size_bytes",))]
    runs += [point(0.5, 1, 0.9, 5e6), point(0.7, 0, 0.9, 3e6)]
    points = points_frame(runs, [RATIO])
    assert list(points["budget"]) == ["missed: size_bytes, macs", "missed by 1 of 2: size_bytes", "met"]


def test_without_a_budget_there_is_nothing_to_meet() -> None:
    assert list(points_frame([made_record()], [])["budget"]) == [""]
