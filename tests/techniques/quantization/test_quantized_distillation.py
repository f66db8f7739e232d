"""Weights in buckets: values by hand, and the digits in four bits."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from compressbench.core.format import Uniform
from compressbench.techniques.quantization.quantized_distillation import Buckets, QuantizedDistillation
from tests.techniques.lending import trained_by
from tests.techniques.quantization.learned import (
    FIELDS,
    DigitsContext,
    accuracy,
    assert_plain,
    assert_stored_exactly,
    learned,
)


def technique(**changes: Any) -> QuantizedDistillation:
    given = {"targets": ["linear"], "ignore": [], "bits": 4, "group": 16, "symmetric": False, "range": "minmax"}
    return trained_by(QuantizedDistillation, **{**FIELDS, "epochs": 2, **given, **changes})


def test_each_bucket_is_spaced_evenly_between_its_ends_and_gradients_pass_through() -> None:
    """Two bits are four values: -1, 0, 1, 2 in the first bucket of three, 0 to 0.75 in the second."""
    weights = torch.tensor([[-1.0, 0.4, 2.0, 0.0, 0.3, 0.75]], requires_grad=True)
    rounded = Buckets(technique(bits=2, group=3))(weights)
    assert rounded.tolist() == [[-1.0, 0.0, 2.0, 0.0, 0.25, 0.75]]
    (rounded * torch.arange(6.0)).sum().backward()
    assert weights.grad is not None
    assert weights.grad.tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]


def test_the_digits_are_told_apart_in_four_bits() -> None:
    subject = technique().apply(learned(), DigitsContext())
    assert subject.formats == {f"{number}.weight": Uniform(4, 16) for number in (1, 4, 7)}
    assert_stored_exactly(subject)
    assert_plain(subject)
    assert accuracy(subject) > 0.9


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"bits": 1}, "bits is 1; allowed: 2 to 8"), ({"group": -1}, "group is -1"), ({"range": "max"}, "range is 'max'")],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        technique(**fields)
