"""Binary layers compute with signs, and their gradients are those of the papers."""

import pytest
import torch
from torch import nn

from compressbench.layers.binary import BinaryConv2d, BinaryLinear, binary
from compressbench.packing.modules import describe, make_module


def test_the_sign_of_zero_is_one_and_the_gradient_passes_up_to_one():
    values = torch.tensor([-1.5, -1.0, -0.2, 0.0, -0.0, 0.7, 1.0, 1.01], requires_grad=True)
    found = binary(values)
    assert found.tolist() == [-1, -1, -1, 1, 1, 1, 1, 1]
    found.backward(torch.full((8,), 2.0))
    assert values.grad.tolist() == [0, 2, 2, 2, 2, 2, 2, 0]


def test_a_linear_layer_uses_its_weights_as_they_are_and_the_sign_of_its_input():
    layer = BinaryLinear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -1.0, 1.0], [0.5, 0.5, -0.5]]))
        layer.bias.copy_(torch.tensor([0.0, 10.0]))
    inputs = torch.tensor([[0.3, -0.2, 5.0]], requires_grad=True)  # signs 1, -1, 1
    found = layer(inputs)
    assert found.tolist() == [[3.0, 9.5]]
    found.sum().backward()
    assert inputs.grad.tolist() == [[1.5, -0.5, 0.0]]  # the sum of a column, but for the input beyond 1
    assert layer.weight.grad.tolist() == [[1, -1, 1], [1, -1, 1]]


def test_a_convolution_pads_with_zeros_after_the_sign():
    layer = BinaryConv2d(1, 1, 3, padding=1, bias=False)
    nn.init.ones_(layer.weight)
    assert layer(torch.full((1, 1, 2, 2), -0.1)).flatten().tolist() == [-4.0] * 4


def test_a_real_input_is_left_as_it_is():
    layer, plain = BinaryConv2d(2, 3, 3, binary_input=False), nn.Conv2d(2, 3, 3)
    plain.load_state_dict(layer.state_dict())
    images = torch.randn(2, 2, 5, 5)
    assert torch.equal(layer(images), plain(images))


@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (BinaryConv2d(2, 4, 3, normalize=True), nn.BatchNorm2d(4), (8, 2, 5, 5)),
        (BinaryLinear(6, 4, normalize=True), nn.BatchNorm1d(4), (8, 6)),
    ],
)
def test_a_layer_that_normalizes_does_what_batch_norm_behind_it_would(layer, norm, shape):
    plain = make_module({**describe(layer), "arguments": {**describe(layer)["arguments"], "normalize": False}})
    plain.load_state_dict({"weight": layer.weight, "bias": layer.bias}, assign=True)
    for _ in range(3):
        images = torch.randn(shape)
        assert torch.equal(layer(images), norm(plain(images)))
    assert torch.equal(layer.norm_mean, norm.running_mean)
    assert torch.equal(layer.eval()(images), norm.eval()(plain(images)))


@pytest.mark.parametrize(
    "layer",
    [
        BinaryConv2d(4, 8, (3, 5), stride=2, padding=(1, 2), dilation=2, groups=4, bias=False, normalize=True),
        BinaryConv2d(3, 8, 3, padding="same", padding_mode="reflect", binary_input=False),
        BinaryLinear(3, 5, bias=False, normalize=True),
    ],
    ids=repr,
)
def test_a_file_can_say_what_they_are(layer):
    again = make_module(describe(layer))
    assert repr(again) == repr(layer)
    assert again.state_dict().keys() == layer.state_dict().keys()
