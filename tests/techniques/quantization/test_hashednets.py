"""HashedNets: weights share signed buckets, whose gradient is the signed sum over them (Chen et al. 2015)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from compressbench.core.format import Hashed
from compressbench.core.hashing import places
from compressbench.packing.levels import to_levels
from compressbench.techniques.quantization.hashednets import Buckets, HashedNets, least_squares
from tests.techniques.lending import bare, seeded, trained_by
from tests.techniques.quantization.learned import (
    FIELDS,
    DigitsContext,
    accuracy,
    assert_plain,
    assert_stored_exactly,
    learned,
)


def hashed(**fields: Any) -> HashedNets:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "compression": 0.125, "seed": 0}
    return trained_by(HashedNets, **{**FIELDS, **own, "init": "least_squares", **fields})


def test_the_gradient_of_a_bucket_is_the_signed_sum_over_its_weights() -> None:
    form, shape = Hashed(7, 3), (6, 5)
    index, sign = places(shape, 7, 3)
    buckets = Buckets(shape, form, torch.arange(7.0))
    weight = buckets(torch.empty(shape))
    assert weight.flatten().tolist() == (np.arange(7.0)[index] * sign).tolist()
    upstream = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    weight.backward(upstream)
    expected = np.zeros(7, np.float32)
    np.add.at(expected, index, upstream.numpy().ravel() * sign)
    assert buckets.values.grad is not None
    assert buckets.values.grad.tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_buckets_start_at_the_least_squares_fit_of_the_weights() -> None:
    form, weight = Hashed(9, 1), torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    index, sign = places(tuple(weight.shape), 9, 1)
    design = np.zeros((weight.numel(), 9))
    design[np.arange(weight.numel()), index] = sign
    expected, *_ = np.linalg.lstsq(design, weight.numpy().ravel(), rcond=None)
    assert least_squares(weight, form).tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_only_the_buckets_are_stored_each_layer_with_a_seed_of_its_own() -> None:
    """An eighth of 64 x 64 is 512, of 10 x 64 is 80."""
    subject = hashed(seed=5).apply(learned(), DigitsContext())
    assert subject.formats == {"1.weight": Hashed(512, 5), "4.weight": Hashed(512, 6), "7.weight": Hashed(80, 7)}
    for name, form in subject.formats.items():
        assert isinstance(form, Hashed)
        levels = to_levels(subject.model.get_parameter(name).detach().numpy(), form)
        assert [len(side) for side in levels.side] == [form.buckets]
        assert levels.symbols is None
    assert_stored_exactly(subject)
    assert_plain(subject)


def test_a_hashed_network_learns_the_digits() -> None:
    """4,736 weights become 592 to 1,104 numbers."""
    before = learned()
    assert accuracy(hashed().apply(learned(), DigitsContext())) > accuracy(before) - 0.04
    layers = [nn.Flatten(), nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10)]
    fresh = bare(seeded(lambda: nn.Sequential(*layers)))
    assert accuracy(hashed(init="random", lr=0.1).apply(fresh, DigitsContext())) > 0.9


def test_random_buckets_are_as_large_as_fresh_weights() -> None:
    layer = seeded(lambda: nn.Linear(100, 200))
    subject = hashed(init="random", epochs=0).apply(bare(nn.Sequential(layer)), DigitsContext())
    weight = subject.model.get_parameter("0.weight").detach()
    assert 0.098 < float(weight.abs().max()) <= 0.1
    assert float(weight.std()) == pytest.approx(0.1 / 3**0.5, rel=0.05)


def test_a_layer_too_small_to_share_is_left_out_and_reported() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Linear(10, 1, bias=False), nn.Linear(1, 1))
    subject = hashed(epochs=0).apply(bare(model), DigitsContext())
    assert [skipped.what for skipped in subject.skipped] == ["3"]
    assert subject.formats.keys() == {"1.weight", "2.weight"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"compression": 0.0}, "compression is 0.0; allowed: more than 0 and less than 1"),
        ({"compression": 1.0}, "compression is 1.0"),
        ({"seed": -1}, "seed is -1"),
        ({"init": "zeros"}, "init is 'zeros'"),
        ({"lr": -1.0}, "lr is"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hashed(**fields)
