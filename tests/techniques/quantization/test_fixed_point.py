"""Fixed point: both roundings, the choice of the step, and numbers that stay."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from compressbench.core.constraint import Frozen, Mask
from compressbench.core.format import FixedPoint
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.quantization._fixed_point import finest, to_fixed_point
from compressbench.techniques.quantization.fixed_point import FixedPointQuantization
from tests.techniques.quantization.learned import (
    FIELDS,
    DigitsContext,
    accuracy,
    assert_plain,
    assert_stored_exactly,
    learned,
)

RETRAIN = TrainingConfig(**FIELDS)  # type: ignore[arg-type]


def fixed_point(**others: Any) -> FixedPointQuantization:
    fields = {"bits": 8, "fraction_bits": None, "rounding": "nearest", "biases": False, "retrain": None}
    return FixedPointQuantization(**{"targets": ["linear"], "ignore": [], **fields, **others})


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_values_go_to_the_nearest_multiple_and_are_cut_at_the_ends() -> None:
    """3 bits, 1 of them a fraction: -2, -1.5, ..., 1.5."""
    values = torch.tensor([0.3, 0.2, -0.3, 1.4, 7.0, -7.0, -0.1])
    assert to_fixed_point(values, 3, 1).tolist() == [0.5, 0.0, -0.5, 1.5, 1.5, -2.0, 0.0]


def test_stochastic_rounding_goes_up_in_proportion_to_the_distance() -> None:
    """Gupta et al. 2015, section 3: 0.3 is 0.6 steps of 0.5, so it becomes 0.5 in 60 %, 0 else; -0.3 likewise.

    40,000 draws: +- 0.0123 is five standard deviations. What is exact stays.
    """
    values = torch.tensor([0.3, -0.3, 0.5, -1.0]).expand(40_000, 4)
    found = to_fixed_point(values, 3, 1, stochastic=True, generator=random(0))
    assert (found[:, 0] == 0.5).float().mean().item() == pytest.approx(0.6, abs=0.0123)
    assert (found[:, 1] == -0.5).float().mean().item() == pytest.approx(0.6, abs=0.0123)
    assert found[:, 0].unique().tolist() == [0, 0.5]
    assert found[:, 2:].unique(dim=0).tolist() == [[0.5, -1.0]]


@pytest.mark.parametrize(
    ("values", "bits", "fraction_bits"),
    [
        ([0.9, -0.2], 8, 7),  # 0.9 * 128 = 115.2 fits 127
        ([0.99, -0.2], 8, 7),  # 126.7 rounds to 127
        ([0.999, -0.2], 8, 6),  # 127.9 would be 128
        ([0.5, -1.0], 8, 7),  # -128 is a number, 128 is not
        ([1.0, -0.5], 8, 6),
        ([100.0], 4, -4),  # 6 times 16; with 3, 12.5 would not fit 7
        ([0.001], 4, 12),  # 4 times 2^-12
        ([0.0, 0.0], 5, 4),
    ],
)
def test_the_finest_step_is_taken_with_which_the_largest_value_fits(
    values: list[float], bits: int, fraction_bits: int
) -> None:
    assert finest(torch.tensor(values), bits) == fraction_bits


@pytest.mark.parametrize("seed", range(5))
def test_no_finer_step_would_fit_and_no_value_is_cut(seed: int) -> None:
    values = torch.randn(100, generator=random(seed)) * 10.0 ** (seed - 2)

    def error(fraction_bits: int) -> Tensor:
        return (to_fixed_point(values, 5, fraction_bits) - values).abs().max()

    found = finest(values, 5)
    assert error(found) <= 0.5 * 2.0**-found
    assert error(found + 1) > 0.5 * 2.0 ** -(found + 1)


def test_eight_bits_without_training_read_digits_as_well_and_stay() -> None:
    """Gupta et al. use 16 bits to train in; 8 bits suffice to run (1/256 of the range is the largest error)."""
    subject = learned()
    before = accuracy(subject)
    context = DigitsContext()
    subject = fixed_point().apply(subject, context)
    assert context.trained == []
    assert accuracy(subject) >= before - 0.01
    assert subject.formats.keys() == {"1.weight", "4.weight", "7.weight"}
    assert all(isinstance(form, FixedPoint) and form.bits == 8 for form in subject.formats.values())
    assert [type(kept) for kept in subject.constraints] == [Frozen] * 3
    assert_stored_exactly(subject)
    assert_plain(subject)


@pytest.mark.parametrize(("rounding", "lost"), [("nearest", 0.05), ("stochastic", 0.1)])
def test_retraining_at_two_bits_wins_back_what_rounding_loses(rounding: str, lost: float) -> None:
    """Over six starts, biases left alone, rounding loses 15 to 86 points, retraining at most 2.5 and 6.4."""
    before = accuracy(learned())
    rounded = fixed_point(bits=2).apply(learned(), DigitsContext())
    retrained = fixed_point(bits=2, rounding=rounding, retrain=RETRAIN, biases=True).apply(learned(), DigitsContext())
    assert accuracy(rounded) < before - lost
    assert accuracy(retrained) >= before - lost
    assert len(retrained.formats) == 6
    assert_stored_exactly(retrained)
    assert_plain(retrained)


def test_stochastic_rounding_draws_from_the_generator_of_the_stage() -> None:
    def weight(seed: int) -> Tensor:
        subject = fixed_point(bits=4, rounding="stochastic").apply(learned(), DigitsContext(seed))
        return subject.model.get_parameter("1.weight").detach()

    assert torch.equal(weight(0), weight(0))
    assert not torch.equal(weight(0), weight(1))


def test_the_step_can_be_given_and_biases_be_included() -> None:
    subject = fixed_point(fraction_bits=5, biases=True, ignore=["last"]).apply(learned(), DigitsContext())
    names = {"1.weight", "1.bias", "4.weight", "4.bias"}
    assert subject.formats == dict.fromkeys(names, FixedPoint(8, 5))
    assert_stored_exactly(subject)


def test_zeros_of_a_pruned_network_stay_zeros() -> None:
    subject = MagnitudePruning(["linear"], 0.75, {}, [], "per_layer", 1, None).apply(learned(), DigitsContext())
    subject = fixed_point(rounding="stochastic", retrain=RETRAIN).apply(subject, DigitsContext())
    assert sum(isinstance(kept, Mask) for kept in subject.constraints) == 3
    assert all(kept.holds(subject.model) for kept in subject.constraints)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bits": 1}, "bits is 1; allowed: 2 to 16"),
        ({"bits": 17}, "bits is 17; allowed: 2 to 16"),
        ({"fraction_bits": 101}, "fraction_bits is 101; allowed: -100 to 100, or null"),
        ({"rounding": "stochastik"}, "did you mean 'stochastic'"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fixed_point(**fields)
