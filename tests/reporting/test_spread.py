"""Networks drawn again: the same training and seed, another result."""

from __future__ import annotations

from math import sqrt

import pytest

from compressbench.core.record import RunRecord
from compressbench.reporting.compare import compare
from compressbench.reporting.spread import pooled, redrawn, spread_remarks
from tests.reporting.made import MNIST_50, made_record


def trained(before: float, seed: int = 0, row: str = "mnist_l1norm_50", **changed: object) -> RunRecord:
    """Return a record whose network was trained to this top1. changed: settings of its training."""
    record = made_record(seed, before, row=row)
    record.plan["stages"]["train"] |= changed
    return record


def test_one_result_in_many_rows_is_one_draw() -> None:
    assert redrawn([trained(0.98, row="one"), trained(0.98, row="other"), trained(0.98, row="third")]) == []


def test_two_results_of_the_same_network_settings_and_seed_are_a_pair() -> None:
    [pair] = redrawn([trained(0.98), trained(0.984, row="other"), trained(0.97, seed=1)])
    assert (pair.network, pair.dataset, pair.seed, pair.found) == ("alexnet", "mnist", 0, (0.98, 0.984))


@pytest.mark.parametrize("changed", [{"lr": 0.1}, {"epochs": 8}, {"precision": "fp32"}, {"scale_l1": 1e-4}])
def test_another_setting_makes_another_training(changed: dict[str, object]) -> None:
    assert redrawn([trained(0.98), trained(0.984, **changed)]) == []


def test_a_setting_that_was_added_since_counts_only_if_it_is_not_its_default() -> None:
    assert len(redrawn([trained(0.98), trained(0.984, final_lr=0.0)])) == 1
    assert redrawn([trained(0.98), trained(0.984, final_lr=0.001)]) == []


def test_other_data_another_network_and_given_weights_make_no_pair() -> None:
    other = trained(0.984)
    other.dataset = other.dataset | {"fingerprint": "another"}
    wider = trained(0.985)
    wider.plan["model"] = wider.plan["model"] | {"hidden": [512]}
    pruned_at_once = trained(0.986)
    pruned_at_once.stages = pruned_at_once.stages[1:]
    assert redrawn([trained(0.98), other, wider, pruned_at_once]) == []


def test_the_spread_is_pooled_over_the_variances_within_networks() -> None:
    draws = [trained(0.9800), trained(0.9804), trained(0.97, seed=1), trained(0.9706, seed=1)]
    # variances of two draws: 0.04^2 / 2 and 0.06^2 / 2 points
    assert 100 * pooled(redrawn(draws)) == pytest.approx(sqrt((0.04**2 / 2 + 0.06**2 / 2) / 2))


def test_a_table_says_the_spread_of_its_networks_and_how_many_were_drawn_how_often() -> None:
    rows, _ = compare([trained(0.98)], {"mnist_l1norm_50": MNIST_50})
    two = redrawn([trained(0.9800), trained(0.9804), trained(0.97, seed=1), trained(0.9706, seed=1)])
    [sentence] = spread_remarks(rows, two)
    assert "a standard deviation of 0.04 points, pooled (2 networks, 4 draws; " in sentence
    assert "alexnet, seed 0: 98.00, 98.04; alexnet, seed 1: 97.00, 97.06" in sentence


def test_one_pair_is_too_few_for_a_figure_and_none_is_not_mentioned() -> None:
    rows, _ = compare([trained(0.98)], {"mnist_l1norm_50": MNIST_50})
    [sentence] = spread_remarks(rows, redrawn([trained(0.98), trained(0.984)]))
    assert "too few for a figure (1 network, 2 draws; alexnet, seed 0: 98.00, 98.40;" in sentence
    assert "deviation" not in sentence
    assert spread_remarks(rows, []) == []


def test_a_table_of_other_networks_says_nothing() -> None:
    other = trained(0.98)
    other.plan["model"] = {"name": "lenet5"}
    rows, _ = compare([other], {"mnist_l1norm_50": MNIST_50})
    assert spread_remarks(rows, redrawn([trained(0.98), trained(0.984)])) == []
