"""What is said of one row: that it breaks down."""

from __future__ import annotations

from typing import Any

from compressbench.reporting.compare import compare
from compressbench.reporting.comparison import Comparison
from compressbench.reporting.footnotes import breakdown_remarks, row_notes
from tests.reporting.made import made_record


def row(before: float, after: float, model: dict[str, Any] | None = None) -> Comparison:
    record = made_record(before=before, after=after, reference={})
    record.plan["model"] = {"name": "alexnet", "classes": 10} if model is None else model
    return compare([record], {})[0][0]


def test_a_row_that_loses_more_than_ten_points_breaks_down() -> None:
    """low_bit/inq_3: 77.58 % before, 56.19 % after."""
    assert row_notes(row(0.7758, 0.5619)) == ["It breaks down: 21.39 points of top1 are lost."]
    assert row_notes(row(0.7758, 0.6788)) == []  # 9.70 points: bad, not broken


def test_a_row_near_chance_says_what_chance_is() -> None:
    """low_bit/inq_2."""
    said = "It breaks down: 62.22 points of top1 are lost and top1 of 15.36 % is near chance (10 %)."
    assert row_notes(row(0.7758, 0.1536)) == [said]


def test_a_network_that_never_learned_is_near_chance_without_losing_anything() -> None:
    assert row_notes(row(0.1135, 0.1135)) == ["It breaks down: top1 of 11.35 % is near chance (10 %)."]
    assert row_notes(row(0.1135, 0.1135, {"name": "alexnet", "classes": 2})) != []
    assert row_notes(row(0.1135, 0.1135, {"name": "alexnet"})) == []  # nobody knows what chance is


def test_the_rule_is_named_only_where_a_row_breaks_down() -> None:
    [said] = breakdown_remarks([row(0.7758, 0.77), row(0.7758, 0.56)])
    assert said.startswith("A row breaks down, and a note says so, if it loses more than 10 points of top1")
    assert breakdown_remarks([row(0.7758, 0.77)]) == []
