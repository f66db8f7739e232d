"""Figures as people read them."""

import pytest

from compressbench.reporting.formatting import (
    Estimate,
    count,
    duration,
    estimate,
    percent,
    points,
    relative,
    size,
    times,
)


def test_the_spread_is_the_sample_standard_deviation() -> None:
    found = estimate([0.98, 0.99, 1.0])  # squares of the deviations: 2e-4, over 2
    assert found is not None
    assert found.mean == pytest.approx(0.99)
    assert found.spread == pytest.approx(0.01)
    assert found.seeds == 3


def test_one_seed_has_no_spread_and_none_has_no_estimate() -> None:
    assert estimate([0.5]) == Estimate(0.5, None, 1)
    assert estimate([]) is None


def test_accuracies_are_percent_with_two_digits_and_changes_carry_their_sign() -> None:
    assert percent(0.7392) == "73.92"
    assert percent(Estimate(0.988, 0.002, 3)) == "98.80 ± 0.20"
    assert points(0.0052) == "+0.52"
    assert points(Estimate(-0.0015, 0.001, 3)) == "-0.15 ± 0.10"
    assert points(-1e-17) == "+0.00"
    assert percent(None) == points(None) == ""


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (10, "10"),
        (999, "999"),
        (61_706, "61.7 k"),
        (99_960, "0.10 M"),
        (430_500, "0.43 M"),
        (999_960, "1.00 M"),
        (1_641_727, "1.64 M"),
        (3_663_761_408, "3.66 G"),
    ],
)
def test_counts_are_thousands_millions_or_billions(number: float, text: str) -> None:
    assert count(number) == text


def test_a_count_shows_its_spread_in_the_same_unit_and_only_if_there_is_one() -> None:
    assert count(Estimate(750_000.0 * 2, 12_000.0, 3)) == "1.50 ± 0.01 M"
    assert count(Estimate(1_030_314, 0.0, 3)) == "1.03 M"


def test_sizes_are_kilobytes_of_a_thousand_bytes() -> None:
    assert size(4_122_500) == "4,122 kB"
    assert size(51_240) == "51.2 kB"


def test_differences_of_counts_are_percent_of_the_print() -> None:
    assert relative(Estimate(1_100_000), 1_000_000) == "+10.0 %"
    assert relative(Estimate(1_000_100), 1_000_000) == "±0.0 %"
    assert relative(Estimate(999_900), 1_000_000) == "±0.0 %"
    assert relative(None, 1_000_000) == relative(Estimate(1.0), None) == ""


def test_durations_have_at_most_two_units() -> None:
    assert [duration(s) for s in (0.42, 61, 3725)] == ["0.4 s", "1 min 1 s", "1 h 2 min"]


def test_how_many_times_smaller_has_a_digit_up_to_a_hundred() -> None:
    assert [times(40.04), times(99.96), times(112.4), times(None)] == ["40.0x", "100x", "112x", ""]
