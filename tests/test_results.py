"""The committed tables are what the committed records say, word for word."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from compressbench.app import report
from compressbench.cli.main import main
from compressbench.core.record import RunRecord
from compressbench.planning import catalogue

RECIPES = Path(__file__).parents[1] / "recipes"
TABLES = sorted(path.parent.name for path in RECIPES.glob("*/RESULTS.md"))


COMPOSED = report.references


@cache
def references(table: str, only: str | None = None) -> dict[str, dict[str, Any]]:
    """What the rows of a table stand for; the table of all results asks for that of every table again."""
    return COMPOSED(table, only)


@pytest.fixture
def _composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "references", lambda *given, **named: deepcopy(references(*given, **named)))


def test_tables_5_and_6_are_there() -> None:
    assert {"table5", "table6"} <= set(TABLES)


@pytest.mark.slow
@pytest.mark.usefixtures("_composed_once")
@pytest.mark.parametrize("table", TABLES)
def test_the_report_can_be_rebuilt_from_a_clone(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", table, "--format", "markdown"]) == 0
    assert capsys.readouterr().out == (RECIPES / table / "RESULTS.md").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("_composed_once")
def test_the_readmes_table_of_results_can_be_rebuilt_from_a_clone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--format", "markdown"]) == 0
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert {line.split("|")[1].strip().partition("]")[0].lstrip("[") for line in table[2:]} >= set(TABLES)
    readme = (RECIPES.parent / "README.md").read_text()
    assert "\n\n" + "\n".join(table) + "\n\n" in readme


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*/records/*.json")), ids=lambda path: path.stem)
def test_a_committed_record_is_small_finished_and_names_no_place_of_the_machine_it_ran_on(path: Path) -> None:
    record = RunRecord.read(path)
    assert record.status == "finished"
    assert record.protocol in (*(entry.name for entry in catalogue.training()), "custom", "")
    assert path.stat().st_size < 24_000
    assert "/home" not in path.read_text()
    assert "/root" not in path.read_text()


def test_the_file_that_the_page_looks_into_is_the_one_of_a_committed_record() -> None:
    record = RunRecord.read(RECIPES / "deep_compression/records/lenet_300_100_best-mnist-custom-seed0.json")
    page = (RECIPES.parent / "docs" / "packed_file.md").read_text()
    assert f"{record.final.metrics['size_bytes']:,} bytes, " in page
    assert f"measured: top1 {record.final.metrics['top1']:g}, " in page
    for row in record.tensors:
        assert f"{row['coder']} " in next(line for line in page.splitlines() if f"  {row['name']} " in line)
        assert f" {row['bytes']:,}\n" in page
