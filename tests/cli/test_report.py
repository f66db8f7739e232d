"""`report` of all tables, and what it asks of a reference."""

from __future__ import annotations

import pytest

from compressbench.app.report import bases
from compressbench.core.errors import PlanError
from tests.cli.commands import Captured, refused


def test_a_plot_and_records_to_commit_are_of_one_table(capsys: Captured) -> None:
    assert "--commit: goes with one table" in refused(capsys, "report", "--commit", "there")
    assert "--plot: goes with one table" in refused(capsys, "report", "--plot", "plot.png")


def test_a_handicap_that_is_no_recipe_is_met_with_the_nearest() -> None:
    with pytest.raises(PlanError, match=r"row: reference\.handicap: .*did you mean 'table6/cifar10_base'"):
        bases({"row": {"handicap": "table6/cifar10_bas"}})


def test_rows_that_name_the_same_handicap_ask_for_it_once_and_the_others_for_none() -> None:
    found = bases({"one": {"handicap": "table6/cifar10_base"}, "two": {"handicap": "table6/cifar10_base"}, "three": {}})
    assert list(found) == ["table6/cifar10_base"]
    assert found["table6/cifar10_base"]["top1"] == 0.7845
