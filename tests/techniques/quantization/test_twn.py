"""TWN: threshold and scale by hand, and three values that stay."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from compressbench.core.constraint import Frozen, Mask
from compressbench.core.format import Codebook
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.quantization._ternary import Ternary, ternary
from compressbench.techniques.quantization.twn import TernaryWeightNetwork
from tests.techniques.lending import trained_by
from tests.techniques.quantization.learned import (
    FIELDS,
    DigitsContext,
    accuracy,
    assert_plain,
    assert_stored_exactly,
    learned,
)


def twn(**others: Any) -> TernaryWeightNetwork:
    return trained_by(
        TernaryWeightNetwork, **{**FIELDS, "targets": ["linear"], "ignore": [], "threshold_factor": 0.7, **others}
    )


def test_the_threshold_is_seven_tenths_of_the_mean_and_the_scale_the_mean_above_it() -> None:
    """mean|w| = (1 + 2 + 0.5 + 0.5) / 4 = 1, threshold 0.7; above it 1 and 2: scale 1.5."""
    assert ternary(torch.tensor([[1.0, -2.0], [0.5, -0.5]]), 0.7).tolist() == [[1.5, -1.5], [0, 0]]


def test_a_weight_on_the_threshold_is_zero_and_a_layer_of_zeros_stays_so() -> None:
    assert ternary(torch.tensor([0.5, 1.5]), 0.5).tolist() == [0, 1.5]
    assert ternary(torch.zeros(3), 0.7).tolist() == [0, 0, 0]


def test_seven_tenths_is_near_the_best_threshold_for_a_normal_distribution() -> None:
    """Li et al. 2016, section 2: the best is about 0.6 standard deviations = 0.75 mean|w|."""
    weight = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    errors = {factor: float((weight - ternary(weight, factor)).square().mean()) for factor in (0.5, 0.7, 0.75, 1.0)}
    assert errors[0.7] < 1.01 * errors[0.75] < min(errors[0.5], errors[1.0])


def test_the_gradient_goes_straight_through() -> None:
    latent = torch.tensor([1.0, -2.0, 0.5], requires_grad=True)
    (Ternary(0.7)(latent) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert latent.grad is not None
    assert latent.grad.tolist() == [1, 2, 3]


def test_digits_are_read_with_three_values_a_layer() -> None:
    subject = learned()
    before = accuracy(subject)
    subject = twn().apply(subject, DigitsContext())
    assert accuracy(subject) >= before - 0.03
    assert subject.formats == dict.fromkeys(["1.weight", "4.weight", "7.weight"], Codebook(2))
    for name in subject.formats:
        low, zero, high = subject.model.get_parameter(name).unique().tolist()
        assert (low, zero) == (-high, 0)
    assert [type(kept) for kept in subject.constraints] == [Frozen] * 3
    assert_stored_exactly(subject)
    assert_plain(subject)


def test_zeros_of_a_pruned_network_stay_zeros() -> None:
    subject = MagnitudePruning(["linear"], 0.75, {}, [], "per_layer", 1, None).apply(learned(), DigitsContext())
    subject = twn(epochs=1).apply(subject, DigitsContext())
    masks = [kept for kept in subject.constraints if isinstance(kept, Mask)]
    assert len(masks) == 3
    assert all(kept.holds(subject.model) for kept in subject.constraints)
    assert_stored_exactly(subject)


def test_a_threshold_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"threshold_factor is 0\.0; allowed: more than 0"):
        twn(threshold_factor=0.0)
