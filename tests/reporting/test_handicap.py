"""The handicap of our data is measured by a row of another table, from its records, committed ones included."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from compressbench.reporting.gather import commit_records
from compressbench.reporting.handicap import handicaps
from compressbench.reporting.table import report
from tests.reporting.made import made_record, plain
from tests.reporting.test_judging import BASE, CIFAR, PROTOCOL

PRINTED = {"dataset": "cifar10", "top1": 0.7845}


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """Two seeds of the base of Table 6 and one of a row of Table 5, on other data than the paper's."""
    for seed, top1 in enumerate((0.76, 0.77)):
        base = made_record(seed, top1, top1, "cifar10_base", "table6", "cifar10-jpeg")
        base.stages = base.stages[:1]
        commit_records([base], tmp_path / "table6" / "records")
    commit_records(
        [made_record(0, 0.738, 0.7214, "cifar10_l1norm_30", dataset="cifar10-jpeg")], tmp_path / "table5" / "records"
    )
    return tmp_path


def made(recipes: Path, format: str, **changed: str) -> str:
    rows = {"cifar10_l1norm_30": CIFAR | changed}
    found = report("table5", recipes / "none", [recipes], rows, format, bases={BASE: PRINTED})
    return found if isinstance(found, str) else plain(found, width=300)


def test_the_handicap_is_the_published_top1_minus_the_mean_of_the_rows_runs(recipes: Path) -> None:
    [found] = handicaps({BASE: PRINTED}, recipes / "none", [recipes])
    assert (found.row, found.dataset, found.protocol) == (BASE, "cifar10-jpeg", PROTOCOL)
    assert found.points == pytest.approx(0.7845 - 0.765)
    assert found.ours.seeds == 2


def test_a_row_that_nobody_has_run_measures_no_handicap(recipes: Path) -> None:
    assert handicaps({"table6/other": PRINTED}, recipes / "none", [recipes]) == []
    assert handicaps({BASE: {"dataset": "cifar10"}}, recipes / "none", [recipes]) == []


@pytest.mark.parametrize("format", ["rich", "markdown", "html"])
def test_the_second_line_and_where_it_comes_from_are_shown(recipes: Path, format: str) -> None:
    text = made(recipes, format)
    assert "published at equal handicap" in text
    assert "71.97 (+0.17)" in text  # 73.92 - 1.95; 72.14 - 71.97
    assert "differs: change in top1; level at equal handicap reproduced" in text
    said = "minus the 1.95 points that table6/cifar10_base (published 78.45 %, ours 76.50 ± 0.71 %, 2 seeds, "
    assert f"{said}{PROTOCOL})" in " ".join(text.split())


def test_csv_has_the_level_the_points_and_the_row(recipes: Path) -> None:
    [row] = csv.DictReader(io.StringIO(made(recipes, "csv")))
    assert float(row["published_top1_at_equal_handicap"]) == pytest.approx(0.7197)
    assert float(row["handicap"]) == pytest.approx(0.0195)
    assert row["handicap_row"] == BASE
    assert row["beside"] == "top1_at_equal_handicap: reproduced"


def test_without_records_of_that_row_under_that_protocol_there_is_no_second_line(recipes: Path) -> None:
    for path in (recipes / "table6" / "records").iterdir():
        path.unlink()
    other = made_record(0, 0.76, 0.76, "cifar10_base", "table6", "cifar10-jpeg", protocol="reduced")
    commit_records([other], recipes / "table6" / "records")
    text = made(recipes, "markdown")
    assert "equal handicap" not in text
    assert "| differs: change in top1 |" in text
