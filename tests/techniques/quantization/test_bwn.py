"""BWN: the scale of each filter, its gradient by hand, and binary weights that stay."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from compressbench.core.constraint import Frozen
from compressbench.core.format import Binary
from compressbench.techniques.quantization._binary import ScaledSign
from compressbench.techniques.quantization.bwn import BinaryWeightNetwork
from tests.techniques.lending import trained_by
from tests.techniques.quantization.learned import (
    FIELDS,
    DigitsContext,
    accuracy,
    assert_plain,
    assert_stored_exactly,
    learned,
)


def bwn(**others: Any) -> BinaryWeightNetwork:
    return trained_by(BinaryWeightNetwork, **{**FIELDS, "targets": ["linear"], "ignore": ["first", "last"], **others})


def test_a_filter_is_its_mean_magnitude_times_the_signs() -> None:
    """mean(0.5, 1.5, 0, 2) = 1; mean(0.25, 0.75, 0.25, 0.75) = 0.5."""
    latent = torch.tensor([[[[0.5, -1.5]], [[0.0, 2.0]]], [[[-0.25, 0.75]], [[0.25, -0.75]]]])
    found = ScaledSign()(latent)
    assert found.flatten(1).tolist() == [[1, -1, 1, 1], [-0.5, 0.5, 0.5, -0.5]]


def test_that_scale_has_the_least_squared_error() -> None:
    latent = torch.randn(1, 50, generator=torch.Generator().manual_seed(0))
    found = ScaledSign()(latent)

    def error(factor: float) -> float:
        return float((latent - factor * found).square().sum())

    assert error(1.0) < min(error(0.99), error(1.01))


def test_the_gradient_is_the_papers() -> None:
    """g (1/n + alpha 1{|w| <= 1}): n = 4, alpha = 1; the weights -1.5 and 2 lie outside and get g / 4 alone."""
    latent = torch.tensor([[0.5, -1.5, 0.0, 2.0]], requires_grad=True)
    (ScaledSign()(latent) * torch.tensor([[1.0, 2.0, -4.0, 8.0]])).sum().backward()
    assert latent.grad is not None
    assert latent.grad.tolist() == [[1.25, 0.5, -5.0, 2.0]]


def test_a_filter_of_zeros_still_has_a_scale_that_the_format_can_say() -> None:
    found = ScaledSign()(torch.zeros(2, 3))
    assert (found > 0).all()
    assert found.max() < 1e-30


def test_digits_are_read_with_a_binary_layer_between_the_first_and_the_last() -> None:
    subject = learned()
    before = accuracy(subject)
    subject = bwn().apply(subject, DigitsContext())
    assert accuracy(subject) >= before - 0.02
    assert subject.formats == {"4.weight": Binary()}
    rows = subject.model.get_parameter("4.weight").detach().abs()
    assert (rows == rows[:, :1]).all()
    assert len(rows[:, 0].unique()) > 1, "each filter has a scale of its own"
    assert [type(kept) for kept in subject.constraints] == [Frozen]
    assert_stored_exactly(subject)
    assert_plain(subject)


def test_a_pruned_network_is_refused_for_its_zeros_could_not_stay() -> None:
    assert BinaryWeightNetwork.refuses == {"quantized", "sparse"}


def test_fields_of_the_training_are_checked() -> None:
    with pytest.raises(ValueError, match="epochs is -1"):
        bwn(epochs=-1)
