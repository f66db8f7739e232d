"""Plots of accuracy against cost."""

from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.faults import PlanError
from compressbench.reporting.plot import before, lines, measured, plot
from tests.reporting.made import given_record, made_record


def sweep(**more: str) -> list:
    return [
        replace(
            made_record(seed, after=0.99 - ratio / 100, ratio=ratio),
            swept={"stages.prune.ratio": str(ratio), "seed": str(seed), **more},
        )
        for ratio in (0.5, 0.1, 1e-3)
        for seed in (0, 1)
    ]


def test_a_sweep_is_one_line_in_the_order_of_the_swept_value_and_seeds_are_one_point() -> None:
    [(panel, found)] = lines(sweep()).items()
    [(label, line)] = found.items()
    assert (panel, label) == ("mnist, paper", "mnist_l1norm_50")
    assert {value: len(runs) for value, runs in line.items()} == {"0.001": 2, "0.1": 2, "0.5": 2}
    assert list(line) == ["0.001", "0.1", "0.5"]
    top1 = measured(line["0.5"], "top1")
    assert top1 is not None
    assert top1.mean == pytest.approx(0.985)


def test_a_swept_technique_makes_a_line_each() -> None:
    key = {"stages.prune.technique": "pruning/random_filters"}
    [found] = lines([*sweep(), *sweep(**key)]).values()
    assert list(found) == ["mnist_l1norm_50", "mnist_l1norm_50, technique=pruning/random_filters"]
    assert [list(line) for line in found.values()] == [["0.001", "0.1", "0.5"]] * 2


def test_rows_are_a_point_each() -> None:
    rows = [replace(made_record(row=row), swept={"recipe": f"table5/{row}"}) for row in ("a", "b")]
    [found] = lines(rows).values()
    assert {label: list(line) for label, line in found.items()} == {"a": [""], "b": [""]}


def test_datasets_and_protocols_are_never_one_point() -> None:
    records = [made_record(), made_record(dataset="kmnist"), made_record(protocol="reduced")]
    assert list(lines(records)) == ["mnist, paper", "kmnist, paper", "mnist, reduced"]


def test_a_given_network_is_the_one_before_compression() -> None:
    cost, top1 = before([given_record()], "macs")
    assert cost is not None
    assert top1 is not None
    assert (cost.mean, top1.mean) == (14_361_600, 0.9889)


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    path = plot([*sweep(), made_record(5)], tmp_path / "plots" / "table5.png", "table5")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 10_000


def test_nothing_to_plot_an_unknown_ending_and_an_unwritable_file_are_said(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="nothing to plot"):
        plot([replace(made_record(), status="failed")], tmp_path / "plot.png")
    with pytest.raises(PlanError, match=r"the ending '\.txt'"):
        plot([made_record()], tmp_path / "plot.txt")
    with pytest.raises(PlanError, match="cannot write"):
        plot([made_record()], Path("/proc/nowhere/plot.png"))
