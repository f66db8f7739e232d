"""Weights of few bits have the values of the paper; ReLUs are found and replaced."""

import pytest
import torch
from torch import nn

from compressbench.layers.activations import DorefaActivation
from compressbench.techniques.quantization._low_bits import DorefaWeights, check_bits, replace_relus
from tests.techniques.lending import bare

LATENT = [-2.0, -0.3, -0.01, 0.01, 0.3, 2.0]  # tanh: -0.964, -0.2913, -0.01, ...; m = 0.964


@pytest.mark.parametrize(
    ("bits", "in_units_of_the_largest"),
    [
        (2, [-1, -1 / 3, -1 / 3, 1 / 3, 1 / 3, 1]),  # (0.2913 / 1.928 + 0.5) x 3 = 1.95 rounds to 2: 1/3
        (3, [-1, -3 / 7, -1 / 7, 1 / 7, 3 / 7, 1]),  # x 7 = 4.56 rounds to 5: 3/7
    ],
)
def test_weights_of_some_bits_are_the_nearest_of_evenly_spaced_ones(bits, in_units_of_the_largest):
    largest = torch.tensor(2.0).tanh().item()
    found = DorefaWeights(bits)(torch.tensor(LATENT))
    assert (found / largest).tolist() == pytest.approx(in_units_of_the_largest, abs=1e-6)


def test_a_weight_of_one_bit_is_the_mean_of_the_layer_with_a_sign():
    found = DorefaWeights(1)(torch.tensor([[-3.0, 0.0], [1.0, 4.0]]))
    assert found.tolist() == [[-2.0, 2.0], [2.0, 2.0]]


def test_the_gradient_goes_through_the_tangent_and_for_one_bit_straight():
    gradient = torch.arange(1.0, 7.0)
    for bits, factor in ((1, torch.ones(6)), (2, 1 - torch.tensor(LATENT).tanh() ** 2)):
        latent = torch.tensor(LATENT, requires_grad=True)
        DorefaWeights(bits)(latent).backward(gradient)
        assert torch.allclose(latent.grad, gradient * factor)


@pytest.mark.parametrize("bits", range(1, 9))
def test_there_are_as_many_values_as_the_bits_say_and_none_is_zero(bits):
    found = DorefaWeights(bits)(torch.linspace(-1, 1, 20_000)).unique()
    assert len(found) == 2**bits
    assert found.abs().min() > 0


def test_a_layer_of_zeros_gives_numbers():
    assert all(torch.isfinite(DorefaWeights(bits)(torch.zeros(3, 3))).all() for bits in (1, 2, 8))


def test_every_relu_is_replaced_and_other_activations_are_reported():
    subject = bare(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Sequential(nn.ReLU6(), nn.GELU())))
    replace_relus(subject, lambda: DorefaActivation(2))
    assert [type(subject.model[1]), type(subject.model[2][0])] == [DorefaActivation] * 2
    assert subject.model[1] is not subject.model[2][0]
    assert [(skipped.what, skipped.why) for skipped in subject.skipped] == [
        ("2.1", "activations of GELU stay as they are")
    ]


def test_a_network_without_relus_is_refused():
    with pytest.raises(ValueError, match="Sequential has no ReLU module"):
        replace_relus(bare(nn.Sequential(nn.Linear(2, 2))), lambda: DorefaActivation(2))


@pytest.mark.parametrize("bits", [0, -1, 9, 16, 33])
def test_bits_out_of_range_are_refused(bits):
    with pytest.raises(ValueError, match=f"weight_bits is {bits}; allowed: 1 to 8, or 32"):
        check_bits(weight_bits=bits)
