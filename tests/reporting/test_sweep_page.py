"""The answer of a sweep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compressbench.core.errors import PlanError
from compressbench.core.record import RunRecord
from compressbench.core.sweep import Outcome, SweepRecord
from compressbench.reporting.render import as_rich
from compressbench.reporting.sweep_page import sweep_page
from tests.reporting.made import made_record, plain


def swept(key: str, *found: tuple[str, float, float], seeds: int = 1) -> tuple[SweepRecord, list[RunRecord]]:
    """Return a sweep over a key: value, top1 and bytes of each point."""
    records, outcomes = [], []
    for value, top1, size in found:
        for seed in range(seeds):
            values = {key: value} | ({"seed": str(seed)} if seeds > 1 else {})
            record = made_record(seed, after=top1 + seed / 100, counts={"size_bytes": size})
            records.append(replace(record, sweeps={"s1": values}))
            outcomes.append(Outcome(len(records), values, run=f"table5/row/{len(records)}"))
    return SweepRecord("s1", [], outcomes), records


RATIOS = swept("stages.prune.ratio", ("0.9", 0.9, 1e6), ("1e-1", 0.98, 9e6), ("0.5", 0.97, 9e6), seeds=2)


def column(sweep: SweepRecord, records: list[RunRecord], heading: str) -> list[str]:
    grid = sweep_page(sweep, records).grids[0]
    return [row[grid.headings.index(heading)] for row in grid.rows]


def test_points_stand_in_the_order_of_the_number_that_was_swept_below_the_network_before() -> None:
    assert column(*RATIOS, "ratio") == ["before", "1e-1", "0.5", "0.9"]
    assert column(*RATIOS, "top1 %") == ["98.70", "98.50 ± 0.71", "97.50 ± 0.71", "90.50 ± 0.71"]
    assert column(*RATIOS, "change, points")[1] == "-0.20 ± 0.71"
    assert column(*RATIOS, "Pareto") == ["", "best", "", "best"]


def test_words_have_no_order_so_the_most_accurate_stands_first() -> None:
    sweep = swept("stages.prune.technique", ("pruning/l1_norm", 0.9, 1e6), ("pruning/random_filters", 0.95, 1e6))
    assert column(*sweep, "technique")[1:] == ["pruning/random_filters", "pruning/l1_norm"]
    assert "Sorted by top1." in sweep_page(*sweep).remarks


def test_a_sweep_over_seeds_alone_is_one_point() -> None:
    _, records = RATIOS
    only = [replace(record, sweeps={"s1": {"seed": str(record.seed)}}) for record in records[:2]]
    page = sweep_page(SweepRecord("s1", [], [Outcome(1, {"seed": "0"}), Outcome(2, {"seed": "1"})]), only)
    assert page.title == "sweep s1: table5/mnist_l1norm_50 over seed"
    assert page.introduction[0].startswith("1 point; seeds 0, 1; mnist")
    assert page.grids[0].rows[1][:2] == ["table5/mnist_l1norm_50", "2"]


def test_how_many_points_meet_the_budget_is_said_failed_ones_counted() -> None:
    sweep, records = swept("stages.prune.ratio", ("0.1", 0.98, 9e6), ("0.5", 0.97, 3e6))
    records[0].missed = ["budget.size_bytes is 4,000,000, but the result has 9,000,000"]
    for record in records:
        record.plan["budget"] = {"size_bytes": 4_000_000}
    failed = Outcome(3, {"stages.prune.ratio": "1.5"}, 2, "stages.prune: ratio is 1.5; allowed: less than 1")
    text = plain(as_rich(sweep_page(replace(sweep, outcomes=[*sweep.outcomes, failed]), records)))
    assert "1 of 3 points meet the budget (size_bytes 4,000,000)" in text
    assert column(sweep, records, "budget") == ["", "missed", "met, best"]
    assert "1 of 3 runs failed" in text
    [line] = [line for line in text.splitlines() if "ratio=1.5" in line]
    assert "3 of 3, ratio=1.5" in line
    assert "ratio is 1.5; allowed: less than 1" in line


def test_points_can_be_sorted_by_a_metric_or_by_what_was_swept() -> None:
    sweep, records = RATIOS
    assert [row[0] for row in sweep_page(sweep, records, "top1").grids[0].rows] == ["before", "1e-1", "0.5", "0.9"]
    assert [row[0] for row in sweep_page(sweep, records, "size_bytes").grids[0].rows][1] == "0.9"
    assert "Sorted by file." in sweep_page(sweep, records, "size_bytes").remarks
    assert [row[0] for row in sweep_page(sweep, records, "ratio").grids[0].rows][1:] == ["1e-1", "0.5", "0.9"]
    with pytest.raises(PlanError, match="--sort: there is no 'top11' here; did you mean 'top1'"):
        sweep_page(sweep, records, "top11")


def test_under_each_budget_the_best_point_is_marked() -> None:
    sweep, records = swept("budget.size_bytes", ("4000000", 0.97, 3e6), ("9000000", 0.97, 3e6), ("4000001", 0.9, 5e6))
    for record in records:
        limit = float(record.swept["budget.size_bytes"])
        record.plan["budget"] = {"size_bytes": 4e6 if limit < 5e6 else limit}
    assert column(sweep, records, "budget") == ["", "met, best", "met", "met, best"]


def test_latency_has_a_column_if_it_was_measured() -> None:
    sweep, records = swept("stages.prune.ratio", ("0.1", 0.98, 9e6))
    records[0].final.metrics["latency_onnx_b64_ms"] = 21.8
    assert column(sweep, records, "onnx, 64: ms a batch")[-1] == "21.80"
