"""Activations of few bits: values and gradients by hand."""

import pytest
import torch

from compressbench.layers.activations import DorefaActivation, PactActivation, quantized, quantized_gradient
from compressbench.packing.modules import describe, make_module


@pytest.mark.parametrize(
    ("bits", "values"),
    [
        (1, [0, 0, 0, 1, 1]),
        (2, [0, 1 / 3, 1 / 3, 2 / 3, 1]),
        (3, [0, 1 / 7, 3 / 7, 5 / 7, 1]),  # 0.2 x 7 = 1.4; 0.45 x 7 = 3.15; 0.7 x 7 = 4.9
    ],
)
def test_values_are_rounded_to_multiples_of_a_step(bits, values):
    assert quantized(torch.tensor([0.0, 0.2, 0.45, 0.7, 1.0]), bits).tolist() == pytest.approx(values)


def test_the_activation_of_dorefa_clips_rounds_and_passes_the_gradient_between_0_and_1():
    inputs = torch.tensor([-0.5, 0.1, 0.4, 0.9, 1.5], requires_grad=True)
    found = DorefaActivation(2)(inputs)
    assert found.tolist() == pytest.approx([0, 0, 1 / 3, 1, 1])
    found.backward(torch.full((5,), 3.0))
    assert inputs.grad.tolist() == [0, 3, 3, 3, 0]


def test_the_activation_of_pact_clips_at_alpha_and_sends_it_the_gradient_from_there_on():
    activation = PactActivation(2)
    torch.nn.init.constant_(activation.alpha, 3.0)
    inputs = torch.tensor([-1.0, 0.4, 1.6, 2.9, 3.0, 7.0], requires_grad=True)
    found = activation(inputs)
    assert found.tolist() == [0, 0, 2, 3, 3, 3]  # steps of 3 / (2^2 - 1)
    found.backward(torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]))
    assert inputs.grad.tolist() == [0, 2, 4, 8, 0, 0]
    assert activation.alpha.grad.item() == 16 + 32


@pytest.mark.parametrize("alpha", [0.0, -1.0])
def test_an_alpha_without_sense_gives_numbers_all_the_same(alpha):
    activation = PactActivation(4)
    torch.nn.init.constant_(activation.alpha, alpha)
    assert torch.isfinite(activation(torch.linspace(-1, 1, 5))).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_quantized_gradient_has_few_values_and_no_element_moves_by_more_than_a_step(bits):
    torch.manual_seed(0)
    gradient = torch.randn(4, 3, 5, 5) * torch.tensor([1e-6, 1.0, 30.0, 0.1]).view(4, 1, 1, 1)
    found = quantized_gradient(gradient, bits)
    largest = gradient.abs().flatten(1).amax(1).view(4, 1, 1, 1)
    step = 2 * largest / (2**bits - 1)
    assert ((found - gradient).abs() <= step * (1 + 1e-5)).all()
    assert (found.abs() <= largest * (1 + 1e-5)).all()
    assert all(len(sample.unique()) <= 2**bits for sample in found)


def test_the_noise_makes_quantized_gradients_right_on_average():
    torch.manual_seed(0)
    gradient = torch.full((1, 10_001), 0.1)
    gradient[0, 0] = 1.0
    assert quantized_gradient(gradient, 2)[0, 1:].mean().item() == pytest.approx(0.1, abs=0.02)


def test_a_gradient_of_nothing_stays_next_to_nothing():
    assert quantized_gradient(torch.zeros(2, 3), 8).abs().max() < 1e-30


def test_only_the_gradient_that_leaves_the_activation_is_quantized():
    torch.manual_seed(0)
    inputs = torch.rand(2, 50, requires_grad=True)
    weights = torch.randn(2, 50)
    (DorefaActivation(2, gradient_bits=2)(inputs) * weights).sum().backward()
    assert all(len(row.unique()) <= 4 for row in inputs.grad)
    both = torch.rand(2, 50, requires_grad=True)
    ((DorefaActivation(2, gradient_bits=2)(both) + both) * weights).sum().backward()
    assert all(len(row.unique()) == 50 for row in both.grad), "what comes past the activation keeps all its bits"


@pytest.mark.parametrize("activation", [DorefaActivation(3, 6), DorefaActivation(1), PactActivation(4)], ids=repr)
def test_a_file_can_say_what_they_are(activation):
    assert repr(make_module(describe(activation))) == repr(activation)
