"""HWGQ: levels that are the best for half a Gaussian, and the three gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.format import Binary
from compressbench.layers.half_wave import STEPS, HalfWaveActivation
from compressbench.packing.modules import describe, make_module
from compressbench.techniques.quantization.hwgq import HalfWaveGaussianQuantization
from tests.techniques.lending import StageContext, bare, trained_by
from tests.techniques.quantization.learned import FIELDS, DigitsContext, accuracy, assert_stored_exactly, learned


def hwgq(bits: int = 2, **changes: Any) -> HalfWaveGaussianQuantization:
    given = {"activation_bits": bits, "backward": "clipped", "targets": ["linear"], "ignore": ["first", "last"]}
    return trained_by(HalfWaveGaussianQuantization, **{**FIELDS, **given, **changes})


def squared_error(bits: int, step: float) -> float:
    """The mean squared error over what is positive of a Gaussian, by the sum over a fine grid."""
    x = torch.linspace(1e-4, 9, 90_000, dtype=torch.float64)
    nearest = (x / step).round().clamp(1, 2**bits - 1) * step
    return float(((x - nearest).square() * torch.exp(-x.square() / 2)).mean())


@pytest.mark.parametrize("bits", range(1, 9))
def test_no_other_step_is_nearer_to_half_a_gaussian(bits: int) -> None:
    best = squared_error(bits, STEPS[bits - 1])
    assert best < min(squared_error(bits, STEPS[bits - 1] * factor) for factor in (0.995, 1.005))


def test_one_bit_is_the_mean_of_half_a_gaussian_and_two_bits_the_papers_0_538() -> None:
    assert STEPS[0] == pytest.approx(math.sqrt(2 / math.pi), abs=1e-6)
    assert math.floor(1000 * STEPS[1]) == 538


def test_what_is_positive_takes_one_of_the_levels_and_nothing_else_does() -> None:
    """2 bits, D = 0.538812: 0.01 is D already; 0.9 is nearer to 2 D than to D; nothing is above 3 D."""
    found = HalfWaveActivation(2)(torch.tensor([-3.0, 0.0, 0.01, 0.7, 0.9, 9.0])) / STEPS[1]
    assert found.tolist() == pytest.approx([0, 0, 1, 1, 2, 3])


@pytest.mark.parametrize(
    ("backward", "beyond"), [("clipped", 0.0), ("relu", 1.0), ("log_tailed", 1 / (5 - (3 * STEPS[1] - 1)))]
)
def test_the_gradients_are_those_of_section_3_3(backward: str, beyond: float) -> None:
    inputs = torch.tensor([-1.0, 0.5, 5.0], requires_grad=True)
    HalfWaveActivation(2, backward)(inputs).backward(torch.ones(3))
    assert inputs.grad is not None
    assert inputs.grad.tolist() == pytest.approx([0, 1, beyond])


def test_a_scale_moves_levels_and_gradients_along() -> None:
    small, large = (torch.tensor([0.3, 2.5], requires_grad=True) for _ in range(2))
    plain = HalfWaveActivation(2, "log_tailed")(small)
    scaled = HalfWaveActivation(2, "log_tailed", scale=4.0)(4 * large)
    assert torch.allclose(scaled, 4 * plain)
    plain.sum().backward()
    (scaled.sum() / 4).backward()
    assert small.grad is not None
    assert large.grad is not None
    assert torch.allclose(small.grad, large.grad)


def test_a_file_can_say_what_it_is_and_not_what_it_cannot_be() -> None:
    activation = HalfWaveActivation(3, "relu", 0.5)
    assert repr(make_module(describe(activation))) == repr(activation)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="allowed: 1 to 8, and clipped"):
        make_module({"type": "HalfWaveActivation", "arguments": {"bits": 99}})


def test_a_relu_without_batch_norm_has_levels_as_large_as_its_inputs() -> None:
    """The pixels 3 and -4 have the root mean square sqrt(12.5); behind the batch norm the scale is 1."""
    lent = StageContext(channels=1, side=1)
    lent.train = lambda subject, config, objective=None, hooks=(): subject  # type: ignore[method-assign]
    pixels = torch.tensor([3.0, -4.0]).reshape(-1, 1, 1, 1)
    lent.calibration = lambda batch_size, batches: iter([(pixels, torch.zeros(2))])  # type: ignore[method-assign]
    network = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(1, 1), nn.BatchNorm1d(1), nn.Dropout(), nn.ReLU())
    subject = hwgq(ignore=[]).apply(bare(network), lent)
    scales = [module.scale for module in subject.model.modules() if isinstance(module, HalfWaveActivation)]
    assert scales == pytest.approx([math.sqrt(12.5), 1.0])


@pytest.mark.parametrize("backward", ["clipped", "log_tailed"])
def test_digits_are_read_with_two_bits_and_a_binary_layer(backward: str) -> None:
    subject = hwgq(backward=backward).apply(learned(), DigitsContext())
    assert accuracy(subject) > 0.93
    assert subject.formats == {"4.weight": Binary()}
    assert_stored_exactly(subject)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bits": 0}, "activation_bits is 0; allowed: 1 to 8"),
        ({"backward": "cliped"}, "backward is 'cliped'; did you mean 'clipped'"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hwgq(**fields)
