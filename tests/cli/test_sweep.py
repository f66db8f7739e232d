"""What a sweep leaves beside its runs."""

from pathlib import Path

import pytest

from compressbench.cli.sweep import _show
from tests.tracking.records import record


def test_a_sweep_leaves_its_table_and_its_plot(tmp_path: Path) -> None:
    _show([record(ratio, sweep="s1") for ratio in (0.1, 0.5)], tmp_path, ["stages.prune.ratio"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "points.csv", "top1_against_cost.png"]


def test_a_plot_that_fails_costs_no_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> Path:
        raise MemoryError("no room for a picture")

    monkeypatch.setattr("compressbench.reporting.plot.plot", broken)
    _show([record(0.1, sweep="s1")], tmp_path, ["stages.prune.ratio"])
    assert "no room for a picture" in capsys.readouterr().err
    assert (tmp_path / "points.csv").is_file()
