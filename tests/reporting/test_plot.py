"""Plots of accuracy against cost."""

from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.reporting.plot import measured, plot, points
from tests.reporting.made import made_record


def sweep() -> list:
    return [
        replace(
            made_record(seed, after=0.99 - ratio / 100, ratio=ratio),
            swept={"stages.prune.ratio": str(ratio), "seed": str(seed)},
        )
        for ratio in (0.1, 0.5)
        for seed in (0, 1)
    ]


def test_runs_that_differ_only_in_their_seed_are_one_point() -> None:
    [(line, groups)] = points(sweep()).items()
    assert line == "mnist, paper"
    assert {label: len(runs) for label, runs in groups.items()} == {"ratio=0.1": 2, "ratio=0.5": 2}
    top1 = measured(groups["ratio=0.5"], "top1")
    assert top1 is not None
    assert top1.mean == pytest.approx(0.985)


def test_datasets_and_protocols_are_never_one_point() -> None:
    records = [made_record(), made_record(dataset="kmnist"), made_record(protocol="reduced")]
    assert list(points(records)) == ["mnist, paper", "kmnist, paper", "mnist, reduced"]


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    path = plot([*sweep(), made_record(5)], tmp_path / "plots" / "table5.png", "table5")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 10_000


def test_nothing_to_plot_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to plot"):
        plot([replace(made_record(), status="failed")], tmp_path / "plot.png")
