"""LAB, LAT, LAQ: scales by hand, the best levels against brute force, second moments as Adam has them."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from compressbench.core.constraint import Mask
from compressbench.core.format import Binary, Codebook
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.quantization._curved import levels, nearest
from compressbench.techniques.quantization.loss_aware_binarization import (
    EPSILON,
    CurvedLevels,
    LossAwareBinarization,
)
from tests.techniques.lending import trained_by
from tests.techniques.quantization.learned import (
    FIELDS,
    DigitsContext,
    accuracy,
    assert_plain,
    assert_stored_exactly,
    learned,
)


def lab(bits: int = 1, **changes: Any) -> LossAwareBinarization:
    given = {"bits": bits, "levels": "linear", "targets": ["linear"], "ignore": ["first", "last"]}
    return trained_by(LossAwareBinarization, **{**FIELDS, "optimizer": "adam", "lr": 0.005, **given, **changes})


def few(seed: int, count: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, generator=generator), torch.rand(count, generator=generator) + 0.01


def error(found: Tensor, weights: Tensor, curvature: Tensor) -> float:
    return float((curvature * (found - weights).square()).sum())


def brute_force(weights: Tensor, curvature: Tensor, values: list[float]) -> float:
    """The least error over every choice of levels, each with its best scale."""
    chosen = torch.tensor(list(product(values, repeat=len(weights))))
    scale = (chosen * curvature * weights).sum(1) / (chosen.square() * curvature).sum(1).clamp_min(1e-9)
    return float((curvature * (scale[:, None] * chosen - weights).square()).sum(1).min())


def test_the_scale_of_signs_is_the_mean_magnitude_weighted_by_the_curvature() -> None:
    """(1 x 0.5 + 3 x 1.5) / (1 + 3) = 1.25."""
    found = nearest(torch.tensor([0.5, -1.5]), torch.tensor([1.0, 3.0]), 1, "linear")
    assert found.tolist() == [1.25, -1.25]


@pytest.mark.parametrize("seed", range(3))
def test_signs_and_ternary_levels_are_the_best_there_are(seed: int) -> None:
    weights, curvature = few(seed)
    for bits, values in ((1, [-1.0, 1.0]), (2, [-1.0, 0.0, 1.0])):
        found = error(nearest(weights, curvature, bits, "linear"), weights, curvature)
        assert found == pytest.approx(brute_force(weights, curvature, values), rel=1e-4)


@pytest.mark.parametrize(
    ("spacing", "values"), [("linear", [0, 1 / 3, 2 / 3, 1]), ("logarithmic", [0, 1 / 4, 1 / 2, 1])]
)
def test_three_bits_end_near_the_best(spacing: str, values: list[float]) -> None:
    weights, curvature = few(0, 5)
    found = nearest(weights, curvature, 3, spacing)
    best = brute_force(weights, curvature, sorted({sign * value for value in values for sign in (-1, 1)}))
    assert error(found, weights, curvature) <= 1.5 * best + 1e-6
    assert error(found, weights, curvature) < error(nearest(weights, curvature, 2, spacing), weights, curvature)


def test_a_level_is_the_nearest_one() -> None:
    values = torch.linspace(-1.4, 1.4, 141)
    for spacing, positive in (("linear", [1 / 3, 2 / 3, 1.0]), ("logarithmic", [0.25, 0.5, 1.0])):
        every = torch.tensor([0.0, *positive, *(-value for value in positive)])
        distance = (values[:, None] - every).abs().min(1).values
        assert torch.allclose((levels(values, 3, spacing) - values).abs(), distance, atol=1e-6), spacing


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_a_layer_of_zeros_and_one_of_nothing_are_no_trouble(bits: int) -> None:
    assert nearest(torch.zeros(4), torch.ones(4), bits, "linear").abs().max() < 1e-30
    assert nearest(torch.zeros(0), torch.ones(0), bits, "linear").shape == (0,)


def test_moments_are_those_of_adam_but_for_their_start() -> None:
    """v = 0.999 v + 0.001 g^2, twice: 0.999 x 0.001 x 4 + 0.001 x 9."""
    function = CurvedLevels(torch.ones(2), 1, "linear")
    for gradient in ([2.0, 0.0], [3.0, -1.0]):
        function.record(torch.tensor(gradient))
    assert function.moments.tolist() == pytest.approx([0.003996 + 0.009, 0.001])


def test_before_the_first_step_all_weights_count_alike() -> None:
    latent = torch.tensor([[0.5, -1.5]], requires_grad=True)
    function = CurvedLevels(latent, 1, "linear")
    found = function(latent)
    assert found.tolist() == [[1.0, -1.0]]
    function.record(torch.tensor([[0.0, 1.0]]))
    weighted = (EPSILON * 0.5 + (0.001**0.5 + EPSILON) * 1.5) / (2 * EPSILON + 0.001**0.5)
    assert function(latent).abs().max().item() == pytest.approx(weighted, rel=1e-4)
    found.backward(torch.tensor([[3.0, 4.0]]))
    assert latent.grad is not None
    assert latent.grad.tolist() == [[3, 4]], "straight through"


@pytest.mark.parametrize(("bits", "least"), [(1, 0.93), (2, 0.93), (3, 0.94)])
def test_digits_are_read_and_the_moments_do_act(bits: int, least: float) -> None:
    subject = lab(bits).apply(learned(), DigitsContext())
    assert accuracy(subject) > least
    assert subject.formats == {"4.weight": Binary() if bits == 1 else Codebook(bits)}
    assert_stored_exactly(subject)
    assert_plain(subject)


def test_zeros_of_a_pruned_network_stay_but_binary_weights_have_none() -> None:
    subject = learned()
    keep = torch.arange(64 * 64).reshape(64, 64) % 2 == 0
    subject.constrain(Mask("4.weight", keep))
    subject.enforce()
    subject = lab(2, epochs=1).apply(subject, DigitsContext())
    assert not subject.broken()
    assert not subject.model.get_parameter("4.weight")[~keep].any()
    before = [MagnitudePruning(["linear"], 0.5, {}, [], "per_layer", 1, None)]
    assert "zeroed weights" in (lab(1).fault_after(before) or "")
    assert lab(2).fault_after(before) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"bits": 0}, "bits is 0; allowed: 1 to 8"), ({"levels": "log"}, "levels is 'log'; did you mean 'logarithmic'|")],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lab(**fields)
