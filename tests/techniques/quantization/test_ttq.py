"""TTQ: values, the gradients of both scales and of the latent weights by hand, and what stays."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from compressbench.core.constraint import Frozen
from compressbench.core.format import Codebook
from compressbench.techniques.quantization._ternary import TrainedTernary
from compressbench.techniques.quantization.ttq import TrainedTernaryQuantization
from tests.techniques.lending import trained_by
from tests.techniques.quantization.learned import (
    FIELDS,
    DigitsContext,
    accuracy,
    assert_plain,
    assert_stored_exactly,
    learned,
)

LATENT = torch.tensor([[2.0, -1.0], [0.125, -0.125], [1.0, -0.5]])
"""With a threshold of 0.1 of the largest, 0.2: two weights above it, two below, two between."""


def ttq(**others: Any) -> TrainedTernaryQuantization:
    fields = {**FIELDS, "targets": ["linear"], "ignore": ["first", "last"], "threshold": 0.05}
    return trained_by(TrainedTernaryQuantization, **{**fields, **others})


def test_scales_start_from_the_means_of_the_weights_they_stand_for() -> None:
    """(2 + 1) / 2 = 1.5 and (1 + 0.5) / 2 = 0.75."""
    function = TrainedTernary(LATENT, 0.1)
    assert (function.positive.item(), function.negative.item()) == (1.5, 0.75)
    assert function(LATENT).tolist() == [[1.5, -0.75], [0, 0], [1.5, -0.75]]


def test_gradients_are_those_of_the_paper() -> None:
    """W_p: 1 + 16 = 17. W_n: -(2 + 32) = -34. Latent weights: g W_p above, g between, g W_n below."""
    function, latent = TrainedTernary(LATENT, 0.1), LATENT.clone().requires_grad_()
    (function(latent) * torch.tensor([[1.0, 2.0], [4.0, 8.0], [16.0, 32.0]])).sum().backward()
    assert function.positive.grad is not None
    assert function.negative.grad is not None
    assert latent.grad is not None
    assert (float(function.positive.grad), float(function.negative.grad)) == (17, -34)
    assert latent.grad.tolist() == [[1.5, 1.5], [4, 8], [24, 24]]


def test_the_gradients_of_the_scales_are_the_slopes_of_the_result() -> None:
    function = TrainedTernary(LATENT, 0.1)
    gradient = torch.tensor([[1.0, 2.0], [4.0, 8.0], [16.0, 32.0]])
    for scale in (function.positive, function.negative):
        scale.grad = None
        before = (function(LATENT) * gradient).sum()
        before.backward()
        with torch.no_grad():
            scale.add_(0.25)
            after = (function(LATENT) * gradient).sum()
        assert scale.grad is not None
        assert (after - before).item() == pytest.approx(0.25 * scale.grad.item())


def test_digits_are_read_with_two_trained_scales_a_layer() -> None:
    subject = learned()
    before = accuracy(subject)
    subject = ttq(ignore=[]).apply(subject, DigitsContext())
    assert accuracy(subject) >= before - 0.03
    assert subject.formats == dict.fromkeys(["1.weight", "4.weight", "7.weight"], Codebook(2))
    for name in subject.formats:
        low, zero, high = subject.model.get_parameter(name).unique().tolist()
        assert low < zero == 0 < high
        assert low != -high, "the two scales are trained apart"
    assert [type(kept) for kept in subject.constraints] == [Frozen] * 3
    assert_stored_exactly(subject)
    assert_plain(subject)


def test_the_first_and_last_layer_can_be_kept() -> None:
    assert ttq(epochs=1).apply(learned(), DigitsContext()).formats.keys() == {"4.weight"}


@pytest.mark.parametrize("threshold", [1.0, -0.1])
def test_a_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"threshold is .*; allowed: 0 or more and less than 1"):
        ttq(threshold=threshold)
