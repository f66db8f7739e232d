"""Which points no other one beats."""

from compressbench.reporting.pareto import front


def test_the_front_leaves_out_what_costs_more_and_is_no_better() -> None:
    assert front([(3, 0.9), (1, 0.7), (2, 0.6), (4, 0.9)]) == [1, 0]


def test_of_points_that_cost_the_same_the_better_one_is_best_and_equal_ones_both_are() -> None:
    assert front([(1, 0.7), (1, 0.8)]) == [1]
    assert front([(1, 0.8), (2, 0.9), (1, 0.8)]) == [0, 2, 1]


def test_nothing_has_no_front() -> None:
    assert front([]) == []
