"""Rounding column by column, what is left making up for the error of the layer's output (Frantar et al. 2023)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.format import Uniform
from compressbench.techniques._layer_sums import columns_of
from compressbench.techniques.quantization._grid import grid_of
from compressbench.techniques.quantization.gptq import GptqQuantization
from compressbench.techniques.quantization.round_to_nearest import RoundToNearestQuantization
from tests.techniques.lending import StageContext, bare, seeded
from tests.techniques.quantization.learned import DigitsContext, accuracy, assert_stored_exactly, learned

GRID: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "bits": 4, "group": 0, "symmetric": True}
GRID |= {"range": "minmax"}


def gptq(**fields: Any) -> GptqQuantization:
    own = {**GRID, "examples": 64, "damping": 1e-9, "act_order": False, "block": 128}
    return GptqQuantization(**{**own, **fields})


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def hessian(columns: int = 24) -> Tensor:
    """Return the sum of s s^T of inputs that hang together, some larger than others."""
    inputs = drawn(200, columns) @ (torch.eye(columns) + 0.3 * drawn(columns, columns))
    return inputs.T @ inputs


def error(weights: Tensor, found: Tensor, sums: Tensor) -> float:
    return float(((weights - found) @ sums * (weights - found)).sum())


def test_of_two_weights_the_second_makes_up_for_the_error_of_the_first() -> None:
    """H = [[1, r], [r, 1]]: w1 = 1.4 becomes 1 and w2 = 0.3 + r 0.4, before it is rounded."""
    for correlation, second in ((0.9, 1.0), (0.0, 0.0), (-0.9, 0.0)):
        sums = torch.tensor([[1.0, correlation, 0.0], [correlation, 1.0, 0.0], [0.0, 0.0, 1.0]])
        found = gptq().rounded(torch.tensor([[1.4, 0.3, 7.0]]), sums)
        assert found.tolist() == [[1.0, second, 7.0]]


def test_towards_other_outputs_the_weights_that_give_them_are_rounded_and_zeros_stay() -> None:
    aim, sums = drawn(8, 24), hessian()
    aim[:, 0] = 4.0  # the largest of each row, and so of one grid
    weights = aim + 0.5 * (drawn(8, 24) * (torch.arange(24) > 0)).clamp(-1, 1)
    torch.testing.assert_close(gptq().rounded(weights, sums, aim @ sums), gptq().rounded(aim, sums))
    zeros = torch.arange(24) % 3 == 1
    sparse = gptq().rounded(weights * ~zeros, sums, aim @ sums)
    assert not sparse[:, zeros].any()
    assert error(aim, sparse, sums) < error(aim, gptq().rounded(weights * ~zeros, sums), sums)


def test_a_layer_makes_up_for_the_errors_of_those_before_it() -> None:
    errors = []
    for towards_original in (False, True):
        model, context = (
            seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.Linear(48, 8))),
            StageContext(1, 8),
        )
        images = torch.cat([given for given, _ in context.calibration(64, 1)])
        before = model(images).detach()
        gptq(bits=3, damping=0.01, towards_original=towards_original).apply(bare(model), context)
        errors.append(float((model(images) - before).detach().square().mean()))
    assert errors[1] < 0.9 * errors[0]


def test_inputs_that_do_not_hang_together_leave_the_nearest() -> None:
    weights = drawn(64, 24)
    for fields in ({}, {"group": 8}, {"act_order": True}, {"symmetric": False}):
        technique = gptq(**fields)
        nearest = grid_of(weights, technique).rounded(weights)
        assert torch.equal(technique.rounded(weights, torch.diag(torch.arange(1.0, 25))), nearest)


@pytest.mark.parametrize("fields", [{}, {"group": 8}, {"act_order": True}, {"group": 8, "act_order": True}], ids=str)
def test_the_output_is_nearer_than_with_the_nearest_weights(fields: dict[str, Any]) -> None:
    weights, sums = drawn(64, 24), hessian()
    technique = gptq(**fields)
    nearest = grid_of(weights, technique).rounded(weights)
    assert error(weights, technique.rounded(weights, sums), sums) < 0.8 * error(weights, nearest, sums)


@pytest.mark.parametrize("fields", [{}, {"group": 8}, {"group": 5}, {"act_order": True}], ids=str)
def test_blocks_change_nothing_but_the_time(fields: dict[str, Any]) -> None:
    weights, sums = drawn(64, 24), hessian()
    found = [gptq(block=block, **fields).rounded(weights, sums) for block in (1, 7, 128)]
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[2])


def test_columns_with_the_largest_inputs_are_first_in_act_order() -> None:
    """Only what comes first is rounded to the nearest itself; here column 1, whose inputs are ten times larger."""
    sums = torch.tensor([[1.0, 9.0], [9.0, 100.0]])
    weights = torch.tensor([[7.0, 3.45]])
    assert gptq(act_order=True).rounded(weights, sums)[0, 1] == 3
    shifted = torch.tensor([[6.6, 7.0]])  # 0.4 x 9 / 1 too much for column 0 if it may be changed first
    assert gptq().rounded(shifted, sums)[0].tolist() == [7.0, 7.0]


def test_weights_that_are_zero_stay_so_and_the_others_make_up_for_more() -> None:
    weights, sums = drawn(64, 24), hessian()
    weights[drawn(64, 24) > 0.3] = 0.0
    for fields in ({}, {"group": 8}, {"act_order": True}):
        technique = gptq(**fields)
        found = technique.rounded(weights, sums)
        assert not found[weights == 0].any()
        assert error(weights, found, sums) < 0.9 * error(weights, grid_of(weights, technique).rounded(weights), sums)


def test_layers_are_quantized_on_what_comes_through_those_before() -> None:
    """The same from outside: quantize the first layer, sum what the second then reads, round it."""
    model = seeded(lambda: nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2)))
    original = [model[0].weight.detach().clone(), model[2].weight.detach().clone()]
    context, technique = StageContext(2, 6), gptq(bits=3, examples=16, damping=0.01)
    subject = technique.apply(bare(model), context)
    (images, _), *_ = context.calibration(64, 1)
    seen = columns_of(subject.model, "2", images)
    by_hand = torch.cat(
        [technique.rounded(w, s.T @ s) for w, s in zip(original[1].flatten(1).chunk(2), seen, strict=True)]
    )
    assert torch.equal(subject.model.get_parameter("2.weight").flatten(1), by_hand)
    assert not torch.equal(subject.model.get_parameter("0.weight"), original[0])
    assert subject.formats == {"0.weight": Uniform(3), "2.weight": Uniform(3)}


def test_a_trained_network_loses_less_than_by_rounding_to_the_nearest() -> None:
    nearest = RoundToNearestQuantization(**{**GRID, "bits": 2, "range": "mse"}).apply(learned(), DigitsContext())
    subject = gptq(bits=2, range="mse", damping=0.01, examples=256).apply(learned(), DigitsContext())
    assert accuracy(nearest) + 0.02 < accuracy(subject)
    assert_stored_exactly(subject)


def test_layers_whose_inputs_cannot_be_looked_at_are_reported_or_refused_by_name() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 3, padding="same"), nn.Conv2d(3, 2, 3))
    subject = gptq(damping=0.1).apply(bare(model), StageContext(3, 8))
    assert [skipped.what for skipped in subject.skipped] == ["0"]
    with pytest.raises(ValueError, match="0 cannot be quantized: its padding is 'same'"):
        gptq(targets=["0", "1"]).apply(bare(model), StageContext(3, 8))
    with pytest.raises(ValueError, match=r"no layer is left to work on: 0 cannot be quantized: its padding is 'same'"):
        gptq(damping=0.1).apply(bare(model[:1]), StageContext(3, 8))


@pytest.mark.parametrize(
    ("key", "value"), [("bits", 1), ("examples", 0), ("block", 0), ("damping", 0.0), ("damping", float("nan"))]
)
def test_fields_out_of_range_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{key} is"):
        gptq(**{key: value})
