"""Budgets and references go by the names of metrics, and are held against what the plan's metrics say of themselves."""

from __future__ import annotations

import pytest

from compressbench.planning.metrics import RESERVED
from tests.planning.conftest import ROW
from tests.planning.plans import built, faults


def test_a_budget_limits_metrics_by_name_and_counts_are_whole_numbers(row):
    budget = built("recipe=row", "budget.size_bytes=5e5", "budget.top1=0.7", "budget.loss=null").budget
    assert budget.limits == {"size_bytes": 500_000, "top1": 0.7}
    assert type(budget.limits["size_bytes"]) is int
    assert budget.as_dict() == {"size_bytes": 500_000, "top1": 0.7}


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        ("top1=70", "is 70; allowed: 0 to 1 (fractions: 0.7 is 70 percent)"),
        ("params=1.5", "is 1.5; allowed: a whole number, 0 or more"),
        ("params=-1", "is -1; allowed: a whole number, 0 or more"),
        ("params=true", "is True; a number or null is needed"),
        ("loss=inf", "is inf; allowed: a finite number"),
        ("parms=1", "there is no such limit; did you mean 'params'?"),
        ("acuracy_drop=0.1", "there is no such limit; did you mean 'accuracy_drop'?"),
    ],
)
def test_a_limit_that_is_none_is_refused_with_what_is_allowed(row, limit, why):
    assert faults("recipe=row", f"budget.{limit}") == [f"budget.{limit.partition('=')[0]}: {why}"]


def test_a_figure_that_no_budget_may_limit_and_one_that_nobody_measures_are_refused(row):
    [fault] = faults("recipe=row", "budget.flops_survey=5")
    assert fault.startswith("budget.flops_survey: no budget may limit it; allowed: top1, top5, loss, params, ")
    assert faults("recipe=row", "metrics=[accuracy]", "budget.macs=5") == [
        "budget.macs: is measured by 'macs', which is not among the plan's metrics; "
        "add it (`metrics: [...]` of the recipe says what is measured)"
    ]
    [fault] = faults("recipe=row", "metrics=[macs]", "budget.accuracy_drop=0.1")
    assert fault.startswith("budget.accuracy_drop: is about top1, which is not among the plan's metrics")


@pytest.mark.parametrize("drop", [1.5, 1, 0.51, -1.1])
def test_a_drop_of_a_fraction_that_is_written_in_points_is_refused_with_a_hint(row, drop):
    [fault] = faults("recipe=row", f"budget.accuracy_drop={drop}")
    assert "accuracy_drop is " in fault
    assert "fractions: 0.01 is one point" in fault
    assert built("recipe=row", "budget.accuracy_drop=0.5").budget.accuracy_drop == 0.5


def test_published_figures_stand_beside_the_words_of_a_reference(write):
    write("row", f"{ROW}reference: {{source: somebody, top1: 0.9, params: 1.1e6, before: {{top1: 0.91}}}}\n")
    reference = built("recipe=row", "metrics=[accuracy]").reference  # whoever measures less keeps what was published
    assert reference.figures == {"top1": 0.9, "params": 1.1e6}
    assert reference.as_dict() == {"source": "somebody", "top1": 0.9, "params": 1.1e6, "before": {"top1": 0.91}}


def test_a_row_takes_back_a_published_figure_of_the_recipe_it_extends(write):
    write("parent", f"{ROW}reference: {{source: somebody, macs: 2, before: {{top1: 0.91, size_bytes: 9}}}}\n")
    write("row", "extends: parent\nreference: {macs: null, before: {size_bytes: null}}\n")
    reference = built("recipe=row").reference
    assert (reference.figures, reference.before) == ({}, {"top1": 0.91})


def test_published_figures_that_no_metric_measures_are_refused(row):
    assert faults("recipe=row", "reference.top3=0.9", "+reference.before={parms: 1}") == [
        "reference.top3: there is no such key; did you mean 'top5'?",
        "reference.before.parms: there is no such key; did you mean 'params'?",
    ]


def test_two_metrics_that_measure_the_same_are_refused(row):
    [fault] = [each for each in faults("recipe=row", "metrics=[macs,macs]") if "macs_nonzero" in each]
    assert fault == "metrics: macs and macs both measure macs_nonzero; leave one out"


def test_no_metric_can_be_called_as_a_word_of_budgets_or_references():
    assert {"accuracy_drop", "epochs", "seconds", "source", "dataset", "before", "note"} <= RESERVED
