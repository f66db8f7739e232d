"""All tables at once: how many rows have which verdict."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from compressbench.core.errors import PlanError
from compressbench.reporting.gather import commit_records
from compressbench.reporting.summary import summary
from tests.reporting.made import MNIST_50, made_record, plain
from tests.reporting.test_judging import BASE, CIFAR

PLAIN = {name: MNIST_50[name] for name in ("dataset", "top1", "before", "tolerance")}
TABLES: dict[str, dict[str, dict[str, Any]]] = {
    "other": {"own": {}, "not_run": PLAIN},
    "table5": {
        "reproduced": PLAIN,
        "above": PLAIN,
        "within": PLAIN,
        "differs": PLAIN,
        "agrees": CIFAR,
        "not_run": PLAIN,
    },
}


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    after = {"reproduced": 0.9853, "above": 0.99, "within": 0.984, "differs": 0.97}
    records = [made_record(0, 0.987, top1, row) for row, top1 in after.items()]
    records += [made_record(seed, 0.987, 0.9853, "reproduced") for seed in (1, 2)]
    records.append(made_record(0, 0.7382, 0.7214, "agrees", dataset="cifar10-jpeg"))
    commit_records(records, tmp_path / "table5" / "records")
    base = made_record(0, 0.7659, 0.7659, "cifar10_base", "table6", "cifar10-jpeg")
    commit_records([base], tmp_path / "table6" / "records")
    commit_records([made_record(row="own", table="other", reference={})], tmp_path / "other" / "records")
    (tmp_path / "table5" / "RESULTS.md").touch()
    return tmp_path


def made(recipes: Path, format: str) -> str:
    about = {"table5": "pruning", "elsewhere": "no table of ours"}
    bases = {BASE: {"dataset": "cifar10", "top1": 0.7845}}
    found = summary(recipes / "none", [recipes], TABLES, about, bases, format)
    return found if isinstance(found, str) else plain(found, width=200)


def test_every_row_counts_once_and_a_level_at_equal_handicap_never_as_reproduced(recipes: Path) -> None:
    first, second = csv.DictReader(io.StringIO(made(recipes, "csv")))
    assert list(first.values()) == ["table5", "pruning", "6", "1", "1", "1", "2", "1", "0", "1", "1 to 3"]
    assert list(second.values()) == ["other", "", "2", "0", "0", "0", "0", "0", "1", "1", "1"]
    counts = ("reproduced", "above", "within tolerance", "differs", "nothing published", "not run")
    assert all(sum(int(row[name]) for name in counts) == int(row["rows"]) for row in (first, second))


def test_markdown_leads_to_the_results_of_a_table_that_has_some(recipes: Path) -> None:
    lines = made(recipes, "markdown").splitlines()
    results = f"{recipes.name}/table5/RESULTS.md"
    assert f"| [table5]({results}) | pruning | 6 | 1 | 1 | 1 | 2 | 1 | 0 | 1 | 1 to 3 |" in lines
    assert "| other |  | 2 | 0 | 0 | 0 | 0 | 0 | 1 | 1 | 1 |" in lines


@pytest.mark.parametrize("format", ["rich", "html"])
def test_a_console_and_html_show_the_same_figures(recipes: Path, format: str) -> None:
    text = " ".join(made(recipes, format).split())
    assert "table5" in text
    assert "1 to 3" in text
    assert "reproduces nothing" in text


def test_an_unreadable_record_is_named_and_an_unknown_format_refused(recipes: Path) -> None:
    (recipes / "table5" / "records" / "broken.json").write_text("no record")
    assert "broken.json" in made(recipes, "markdown")
    with pytest.raises(PlanError, match="did you mean 'markdown'"):
        made(recipes, "markdwon")
