"""A missed limit is one sentence; so is a limit on something that nobody measured."""

from dataclasses import replace

from compressbench.core.budget import Budget
from compressbench.core.record import StageRecord
from compressbench.running.budget import missed_limits
from tests.core.test_record import RECORD


def record(**final: float):  # type: ignore[no-untyped-def]
    stages = [StageRecord("train", "training/from_scratch", "", {"top1": 0.9}), StageRecord("prune", "", "", final)]
    return RECORD.__class__(**{**vars(RECORD), "stages": stages})


def test_limits_that_are_kept_say_nothing() -> None:
    assert missed_limits(Budget({"size_bytes": 10}, accuracy_drop=0.1), record(size_bytes=10, top1=0.8)) == []


def test_each_missed_limit_is_a_sentence() -> None:
    missed = missed_limits(Budget({"size_bytes": 10}, accuracy_drop=0.05), record(size_bytes=11, top1=0.8))
    assert missed == [
        "budget.size_bytes is 10, but the result has 11",
        "budget.accuracy_drop is 0.0500, but top1 dropped by 0.1000",
    ]


def test_a_drop_is_measured_from_the_given_network() -> None:
    given = StageRecord("given", "given", "", {"top1": 0.9889})
    broken = replace(RECORD, given=given, stages=[StageRecord("prune", "pruning/magnitude", "", {"top1": 0.225})])
    assert missed_limits(Budget(accuracy_drop=0.001), broken) == [
        "budget.accuracy_drop is 0.0010, but top1 dropped by 0.7639"
    ]


def test_a_drop_from_nothing_is_missed_and_not_zero() -> None:
    gradual = replace(RECORD, stages=[StageRecord("prune", "pruning/gradual", "", {"top1": 0.9})])
    [said] = missed_limits(Budget(accuracy_drop=0.1), gradual)
    assert "there is no network before compression" in said


def test_where_more_is_better_a_limit_is_the_least_and_a_loss_may_rise_by_the_drop() -> None:
    assert missed_limits(Budget({"top1": 0.7, "loss": 1.0}), record(top1=0.7, loss=1.0)) == []
    assert missed_limits(Budget({"top1": 0.7, "loss": 1.0}), record(top1=0.69, loss=1.5)) == [
        "budget.top1 is 0.7, but the result has 0.6900",
        "budget.loss is 1, but the result has 1.5000",
    ]
    stages = [StageRecord("train", "training/from_scratch", "", {"loss": 0.5}), StageRecord("prune", "", "", {})]
    risen = replace(RECORD, primary="loss", stages=[stages[0], replace(stages[1], metrics={"loss": 0.75})])
    assert missed_limits(Budget(accuracy_drop=0.25), risen) == []
    assert missed_limits(Budget(accuracy_drop=0.2), risen) == [
        "budget.accuracy_drop is 0.2000, but loss rose by 0.2500"
    ]


def test_a_limit_on_what_was_not_measured_is_missed() -> None:
    assert "not measured" in missed_limits(Budget({"macs": 10}), record(top1=0.8))[0]
