"""Plans: what decides the identity of a stage and of a run, and what does not."""

from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.budget import Budget, Reference
from compressbench.core.plan import Limits, Stage
from compressbench.core.structure import flatten
from compressbench.core.training import LOOP_VERSION
from compressbench.data.synthetic import Synthetic
from compressbench.metrics.accuracy import Accuracy
from compressbench.running.evaluate import metric_key
from compressbench.techniques.pruning.l1_norm import L1NormPruning
from compressbench.techniques.training.from_scratch import FromScratch
from tests.running.plans import TRAINING, plan
from tests.techniques.lending import trained_by


def test_a_stage_is_identified_by_all_that_led_to_it_and_by_nothing_after_it() -> None:
    first = plan().stage_ids("data")
    other_end = replace(plan(), stages=plan().stages[:2])
    assert other_end.stage_ids("data") == first[:2]
    longer = Stage("train", "training/from_scratch", trained_by(FromScratch, **{**TRAINING, "epochs": 3}))
    changed = replace(plan(), stages=(longer, *plan().stages[1:])).stage_ids("data")
    assert not set(changed) & set(first)


@pytest.mark.parametrize("change", [{"seed": 1}, {"limits": Limits(steps=1)}])
def test_seed_and_limits_decide_a_result(change: dict[str, object]) -> None:
    assert plan(**change).stage_ids("data")[0] != plan().stage_ids("data")[0]


def test_other_data_is_another_result() -> None:
    assert plan().stage_ids("one")[0] != plan().stage_ids("other")[0]


@pytest.mark.parametrize(
    "change",
    [
        {"budget": Budget({"params": 1})},
        {"reference": Reference(figures={"top1": 0.5})},
        {"protocol": "steps_160"},
        {"recipe": "a/b"},
    ],
)
def test_what_only_looks_at_a_result_does_not_decide_it(change: dict[str, object]) -> None:
    assert plan(**change).stage_ids("data") == plan().stage_ids("data")


def test_rows_with_the_same_stages_are_different_runs_of_one_result() -> None:
    assert plan(recipe="table5/a").plan_id() != plan(recipe="table6/a").plan_id()


def test_table_and_row_are_the_parts_of_the_recipes_name() -> None:
    assert (plan(recipe="table5/row").table, plan(recipe="table5/row").row) == ("table5", "row")
    assert (plan(recipe="quickstart").table, plan(recipe="quickstart").row) == (".", "quickstart")


def test_a_plan_shows_every_parameter_defaults_included() -> None:
    flat = flatten(plan().as_dict())
    assert flat["stages.train.training.momentum"] == 0.9
    assert flat["stages.prune.technique"] == "pruning/l1_norm"
    assert flat["model.image_size"] == 28


def test_limits_and_budgets_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="steps is 0"):
        Limits(steps=0)
    with pytest.raises(ValueError, match="epochs is -1"):
        Budget(epochs=-1)


def test_a_technique_of_a_new_version_is_another_result() -> None:
    class NewerPruning(L1NormPruning):
        version = 2

    old = plan().stages[1]
    newer = replace(old, technique=NewerPruning(**vars(old.technique)))
    changed = replace(plan(), stages=(plan().stages[0], newer))
    assert changed.stage_ids("data")[1] != plan().stage_ids("data")[1]


def test_data_and_measures_of_a_new_version_are_other_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    stages, run = plan().stage_ids("data"), plan().plan_id()
    monkeypatch.setattr(Accuracy, "version", 1, raising=False)
    assert (plan().stage_ids("data"), plan().plan_id()) == (stages, run)
    key = metric_key(Accuracy())
    monkeypatch.setattr(Accuracy, "version", 2)
    assert metric_key(Accuracy()) != key
    assert plan().stage_ids("data") == stages
    assert plan().plan_id() != run
    monkeypatch.setattr(Synthetic, "version", 2, raising=False)
    assert not set(plan().stage_ids("data")) & set(stages)


def test_a_new_version_of_the_loop_makes_other_results_of_what_trains_and_of_what_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pruned = replace(plan(), stages=plan().stages[1:2])
    before, untrained = plan().stage_ids("data"), pruned.stage_ids("data")
    monkeypatch.setattr("compressbench.core.plan.LOOP_VERSION", LOOP_VERSION + 1)
    assert not set(plan().stage_ids("data")) & set(before)
    assert pruned.stage_ids("data") == untrained


def test_given_weights_are_identified_by_their_content_wherever_they_lie(tmp_path: Path) -> None:
    for name, content in (("one.pth", "a"), ("same.pth", "a"), ("other.pth", "b")):
        (tmp_path / name).write_text(content)
    one, same, other = (
        replace(plan(), model=replace(plan().model, weights=str(tmp_path / name))).stage_ids()
        for name in ("one.pth", "same.pth", "other.pth")
    )
    assert one == same
    assert one != other
    runs = {
        replace(plan(), stages=(), model=replace(plan().model, weights=str(tmp_path / name))).plan_id()
        for name in ("one.pth", "same.pth", "other.pth")
    }
    assert len(runs) == 2  # also of runs that only metric them
    assert replace(plan().model, weights="IMAGENET1K_V1").weights_id() == "IMAGENET1K_V1"
