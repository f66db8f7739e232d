"""LSQ: the gradient of a step by hand, where steps start, and integers that stay."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.constraint import Mask
from compressbench.core.format import Uniform
from compressbench.layers.learned_step import LearnedStepActivation, first_step, stepped
from compressbench.packing.modules import describe, make_module
from compressbench.techniques.quantization.lsq import LearnedStep, LearnedStepQuantization
from tests.techniques.lending import StageContext, bare, trained_by
from tests.techniques.quantization.learned import (
    FIELDS,
    DigitsContext,
    accuracy,
    assert_plain,
    assert_stored_exactly,
    learned,
)


def lsq(bits: int = 2, **changes: Any) -> LearnedStepQuantization:
    given = {"weight_bits": bits, "activation_bits": 32, "kept_bits": 8, "targets": ["linear"], "ignore": ["first"]}
    return trained_by(LearnedStepQuantization, **{**FIELDS, **given, **changes})


def test_values_and_gradients_are_those_of_equations_1_to_3() -> None:
    """s = 0.5, 2 bits: -2 to 1. v / s: -5, -1.6, 0.2, 0.8, 6; rounded -2, -2, 0, 1, 1. Gradient of s: -2, -2 + 1.6,
    0 - 0.2, 1 - 0.8, 1, times 1 / sqrt(5 x 1)."""
    values = torch.tensor([-2.5, -0.8, 0.1, 0.4, 3.0], requires_grad=True)
    step = torch.tensor(0.5, requires_grad=True)
    found = stepped(values, step, -2, 1, 5)
    assert found.tolist() == [-1.0, -1.0, 0.0, 0.5, 0.5]
    found.backward(torch.tensor([1.0, 10.0, 100.0, 1000.0, 10000.0]))
    assert values.grad is not None
    assert step.grad is not None
    assert values.grad.tolist() == [0, 10, 100, 1000, 0]
    by_hand = -2 - 0.4 * 10 - 0.2 * 100 + 0.2 * 1000 + 10000
    assert step.grad.item() == pytest.approx(by_hand / math.sqrt(5), rel=1e-5)


def test_a_step_that_has_another_use_gets_the_whole_gradient_of_that() -> None:
    step = torch.tensor(1.0, requires_grad=True)
    (stepped(torch.tensor([9.0]), step, -2, 1, 4) + 10 * step).backward()
    assert step.grad is not None
    assert step.grad.item() == pytest.approx(1 / 2 + 10)


def test_a_step_starts_at_twice_the_mean_magnitude_over_the_root_of_the_largest_integer() -> None:
    """4 bits: 7; 2 x 0.75 / sqrt(7)."""
    made = LearnedStep(torch.tensor([0.5, -1.0]), 4)
    assert made.step.item() == pytest.approx(1.5 / math.sqrt(7))
    assert first_step(0.0, 7) > 0, "a layer of zeros has a step too"


def test_an_activation_has_no_negative_results_and_features_count_for_its_gradient() -> None:
    """2 bits: 0 to 3. Two examples of three features: a gradient of 3 + 3 for two inputs above, over sqrt(3 x 3)."""
    activation = LearnedStepActivation(2)
    inputs = torch.tensor([[-1.0, 0.6, 2.0], [1.4, 4.0, 9.0]])
    found = activation(inputs)
    assert found.tolist() == [[0, 1, 2], [1, 3, 3]]
    found.sum().backward()
    assert activation.step.grad.item() == pytest.approx((0.4 - 0.4 + 3 + 3) / 3, rel=1e-5)
    assert repr(make_module(describe(activation))) == repr(activation)


@pytest.mark.parametrize("step", [0.0, -1.0])
def test_a_step_without_sense_gives_numbers_all_the_same(step: float) -> None:
    activation = LearnedStepActivation(4)
    nn.init.constant_(activation.step, step)
    assert torch.isfinite(activation(torch.linspace(-1, 1, 5)[None])).all()


def test_digits_are_read_with_two_bits_between_eight_and_the_file_says_each_weight() -> None:
    subject = learned()
    before = accuracy(subject)
    subject = lsq(2, ignore=["first", "last"]).apply(subject, DigitsContext())
    assert accuracy(subject) >= before - 0.02
    assert subject.formats == {"1.weight": Uniform(8), "4.weight": Uniform(2), "7.weight": Uniform(8)}
    middle = subject.model.get_parameter("4.weight").detach()
    step = middle[middle > 0].min()
    assert set((middle / step).unique().tolist()) == {-2, -1, 0, 1}
    assert_stored_exactly(subject)
    assert_plain(subject)


def test_activations_start_from_what_the_relus_let_through_and_are_learned() -> None:
    """Inputs 1 to 4 and -1 to -4 through ReLU: the mean of 0 0 0 0 1 2 3 4 is 1.25; 2 bits: 2 x 1.25 / sqrt(3)."""
    lent = StageContext(channels=1, side=1)
    lent.train = lambda subject, config, objective=None, hooks=(): subject  # type: ignore[method-assign]
    pixels = torch.tensor([-4.0, -3, -2, -1, 1, 2, 3, 4]).reshape(-1, 1, 1, 1)
    lent.calibration = lambda batch_size, batches: iter([(pixels, torch.zeros(8))])  # type: ignore[method-assign]
    network = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(1, 1))
    subject = lsq(activation_bits=2, ignore=[]).apply(bare(network), lent)
    activation = subject.model[1]  # type: ignore[index]
    assert activation.step.item() == pytest.approx(2.5 / math.sqrt(3))
    taught = lsq(4, activation_bits=4, epochs=4).apply(learned(), DigitsContext())
    assert accuracy(taught) > 0.93
    assert sum(isinstance(module, LearnedStepActivation) for module in taught.model.modules()) == 2


def test_zeros_of_a_pruned_network_stay() -> None:
    subject = learned()
    keep: Tensor = torch.arange(64 * 64).reshape(64, 64) % 2 == 0
    subject.constrain(Mask("4.weight", keep))
    subject.enforce()
    subject = lsq(4, epochs=1).apply(subject, DigitsContext())
    assert not subject.broken()
    assert not subject.model.get_parameter("4.weight")[~keep].any()
    assert_stored_exactly(subject)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weight_bits": 1}, "weight_bits is 1; allowed: 2 to 8"),
        ({"activation_bits": 9}, "activation_bits is 9"),
        ({"weight_bits": 32, "kept_bits": 32}, "nothing would be quantized"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lsq(**fields)
