"""The rules that say whether a published figure is reproduced."""

from decimal import Decimal

import pytest

from compressbench.reporting.verdict import (
    ABOVE,
    DIFFERS,
    NO_FIGURES,
    REPRODUCED,
    WITHIN,
    alike,
    count_verdict,
    margin_of,
    rounded_like,
    score_verdict,
    sided_verdict,
    worst,
)


def accuracy_verdict(ours: float, published: float, tolerance: float) -> str:
    """Return the verdict on a fraction of which more is better."""
    return score_verdict(ours - published, margin_of("fraction", published), tolerance)


@pytest.mark.parametrize(
    ("ours", "printed", "rounded"),
    [
        (1_641_727, 1.64e6, 1_640_000),
        (56_776_266, 56.78e6, 56_780_000),
        (804_593, 0.80e6, 800_000),  # two digits at least, though the number in the file has only one
        (789_105, 0.80e6, 790_000),
        (27_100_446, 27.1e6, 27_100_000),
        (1_045_802, 1.05e6, 1_050_000),
        (206_279_680, 2.06e8, 206_000_000),
        (2_455_000, 2.45e6, 2_460_000),  # a half goes up
    ],
)
def test_a_count_is_rounded_to_the_digits_of_the_print(ours: float, printed: float, rounded: int) -> None:
    assert rounded_like(ours, printed) == Decimal(rounded)


def test_a_count_that_rounds_to_the_print_is_reproduced_without_any_tolerance() -> None:
    assert count_verdict(1_641_727, 1.64e6, tolerance=0) == REPRODUCED


def test_a_misprinted_count_is_within_a_tolerance_that_covers_the_misprint_and_differs_without() -> None:
    assert count_verdict(789_105, 0.80e6, tolerance=0.015) == WITHIN
    assert count_verdict(789_105, 0.80e6, tolerance=0.005) == DIFFERS


def test_a_count_below_the_print_is_no_better_than_one_above() -> None:
    assert count_verdict(1_000_000, 1.64e6, tolerance=0.1) == DIFFERS
    assert count_verdict(2_000_000, 1.64e6, tolerance=0.1) == DIFFERS


def test_accuracy_is_reproduced_down_to_five_hundredths_of_a_point_below_the_print() -> None:
    assert accuracy_verdict(0.9853, 0.9853, tolerance=0.003) == REPRODUCED
    assert accuracy_verdict(0.9848, 0.9853, tolerance=0.003) == REPRODUCED
    assert accuracy_verdict(0.9847, 0.9853, tolerance=0.003) == WITHIN
    assert accuracy_verdict(0.9823, 0.9853, tolerance=0.003) == WITHIN
    assert accuracy_verdict(0.9822, 0.9853, tolerance=0.003) == DIFFERS


def test_more_accuracy_than_published_and_its_tolerance_is_not_what_was_published() -> None:
    """INQ's -0.42 points beside a published -16.18."""
    assert accuracy_verdict(-0.0042, -0.1618, tolerance=0.01) == ABOVE
    assert accuracy_verdict(0.7, 0.7, tolerance=0) == REPRODUCED
    assert accuracy_verdict(0.7005, 0.7, tolerance=0) == REPRODUCED
    assert accuracy_verdict(0.7006, 0.7, tolerance=0) == ABOVE
    assert accuracy_verdict(0.7031, 0.7, tolerance=0.003) == ABOVE
    assert accuracy_verdict(0.7029, 0.7, tolerance=0.003) == REPRODUCED


def test_a_row_is_as_good_as_its_worst_figure() -> None:
    assert worst([ABOVE, REPRODUCED]) == ABOVE
    assert worst([ABOVE, WITHIN]) == WITHIN
    assert worst([REPRODUCED, WITHIN]) == WITHIN
    assert worst([WITHIN, DIFFERS, REPRODUCED]) == DIFFERS
    assert worst([]) == NO_FIGURES


def test_fewer_bytes_or_nonzero_parameters_than_published_are_above_it_and_more_need_a_tolerance() -> None:
    assert sided_verdict(27_000, 27_000, tolerance=0) == REPRODUCED
    assert sided_verdict(26_900, 27_000, tolerance=0.02) == REPRODUCED
    assert sided_verdict(26_400, 27_000, tolerance=0.05) == REPRODUCED  # 2.2 % fewer
    assert sided_verdict(17_774, 27_000, tolerance=0.02) == ABOVE
    assert sided_verdict(27_400, 27_000, tolerance=0) == REPRODUCED  # the print says 27 thousand
    assert sided_verdict(27_600, 27_000, tolerance=0.03) == WITHIN
    assert sided_verdict(27_600, 27_000, tolerance=0.02) == DIFFERS


def test_surgery_that_leaves_half_of_the_printed_weights_is_above_it_by_the_tolerance_of_five_percent() -> None:
    """Guo et al. 2016, Table 1, LeNet-300-100: 4.8 k printed. Two-sidedly it took a tolerance of 50 %."""
    assert sided_verdict(2_520, 4.8e3, tolerance=0.05) == ABOVE
    assert count_verdict(2_520, 4.8e3, tolerance=0.05) == DIFFERS
    assert sided_verdict(5_100, 4.8e3, tolerance=0.05) == DIFFERS


def test_reproduced_and_within_tolerance_say_the_same_of_a_figure_and_above_does_not() -> None:
    assert alike(REPRODUCED, WITHIN)
    assert alike(ABOVE, ABOVE)
    assert not alike(ABOVE, REPRODUCED)
    assert not alike(DIFFERS, ABOVE)


def test_of_a_loss_the_print_leaves_half_a_unit_of_its_last_digit_open() -> None:
    assert margin_of("nats", 1.25) == pytest.approx(0.005)
    assert score_verdict(-(1.254 - 1.25), margin_of("nats", 1.25), 0.0) == REPRODUCED  # 1.254 nats: 0.004 worse
    assert score_verdict(-(1.256 - 1.25), margin_of("nats", 1.25), 0.0) == DIFFERS
    assert score_verdict(-(1.24 - 1.25), margin_of("nats", 1.25), 0.0) == ABOVE


def test_where_more_is_better_more_is_above() -> None:
    assert sided_verdict(3.5, 3.0, 0.1, higher_is_better=True) == ABOVE
    assert sided_verdict(2.8, 3.0, 0.1, higher_is_better=True) == WITHIN
    assert sided_verdict(2.6, 3.0, 0.1, higher_is_better=True) == DIFFERS
