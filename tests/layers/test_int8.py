"""Integer layers compute what their floats say, whichever way."""

import copy
import io

import pytest
import torch
from torch import Tensor, nn

from compressbench.layers.int8 import INTEGERS, Int8Conv2d, Int8Linear


def filled(layer: nn.Module, scale: float = 0.02, zero_point: int = 90) -> nn.Module:
    """Give an int8 layer numbers, always the same."""
    generator = torch.Generator().manual_seed(0)
    shape = layer.weight.shape
    layer.weight = torch.randint(-127, 128, shape, generator=generator, dtype=torch.int8)
    layer.weight_scale = torch.rand(shape[0], generator=generator) / 1000
    layer.input_scale.fill_(scale)
    layer.input_zero_point.fill_(zero_point)
    if layer.bias is not None:
        layer.bias = nn.Parameter(torch.randn(shape[0], generator=generator))
    return layer


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def by_integers(layer: nn.Module, given: Tensor) -> Tensor:
    with torch.no_grad():
        return layer(given)


CONVOLUTIONS = [
    Int8Conv2d(3, 16, 11, stride=4, padding=5),
    Int8Conv2d(8, 12, 3, stride=2, padding=1, groups=4, bias=False),
    Int8Conv2d(8, 8, (3, 1), padding=(2, 0), dilation=2, groups=8),
]


def small() -> Int8Linear:
    layer = Int8Linear(2, 1)
    layer.weight.copy_(torch.tensor([[1, -2]]))
    layer.weight_scale.fill_(0.5)
    layer.input_scale.fill_(0.1)
    layer.input_zero_point.fill_(10)
    layer.bias = nn.Parameter(torch.tensor([3.0]))
    return layer


@pytest.mark.parametrize("grad", [False, True], ids=["integers", "floats"])
def test_the_arithmetic_is_what_a_hand_computes(grad):
    layer = small()
    with torch.set_grad_enabled(grad):
        # 0.34 -> 13 = 0.3 and -0.5 -> 5 = -0.5; weights 0.5 and -1
        assert layer(torch.tensor([[0.34, -0.5]])).item() == pytest.approx(3 + 0.15 + 0.5)
        # 100 -> 255 = 24.5, the largest; -9 -> 0 = -1, the smallest
        assert layer(torch.tensor([[100.0, -9.0]])).item() == pytest.approx(3 + 12.25 + 1)


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=["strided", "grouped", "depthwise"])
def test_a_convolution_by_integers_agrees_with_floats_and_pads_with_true_zeros(layer):
    given = images(3, layer.in_channels, 16, 16)
    whole, floats = by_integers(filled(layer), given), layer(given)
    assert torch.allclose(whole, floats, atol=1e-5 * float(floats.detach().abs().max()))
    plain = nn.functional.conv2d(
        ((given / 0.02).round() + 90).clamp(0, 255).sub(90) * 0.02,
        layer.weight * layer.weight_scale.view(-1, 1, 1, 1),
        *(layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups),
    )
    assert torch.allclose(whole, plain, atol=1e-4 * float(plain.detach().abs().max()))


@pytest.mark.parametrize("shape", [(5, 24), (24,), (2, 3, 24), (0, 24)])
def test_a_linear_layer_by_integers_agrees_with_floats_for_any_leading_shape(shape):
    layer = filled(Int8Linear(24, 10))
    whole, floats = by_integers(layer, images(*shape)), layer(images(*shape))
    assert whole.shape == (*shape[:-1], 10)
    assert torch.allclose(whole, floats, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape", "operator"),
    [(Int8Conv2d(8, 8, 3), (2, 8, 5, 5), "qconv2d_pointwise"), (Int8Linear(24, 10), (2, 24), "qlinear_pointwise")],
    ids=["convolution", "linear"],
)
def test_integer_kernels_run_where_the_processor_has_exact_ones(layer, shape, operator, monkeypatch):
    calls = []
    if INTEGERS:
        real = getattr(torch.ops.onednn, operator)
        monkeypatch.setattr(torch.ops.onednn, operator, lambda *args: (calls.append(args[0].dtype), real(*args))[1])
    layer(images(*shape))
    assert not calls  # kernels have no gradient
    by_integers(filled(layer), images(*shape))
    assert calls == [torch.uint8] * INTEGERS


def test_an_image_of_another_size_is_computed_too():
    layer = filled(Int8Conv2d(8, 8, 3, padding=1))
    for side in (4, 9, 4):
        given = images(2, 8, side, side)
        assert torch.allclose(by_integers(layer, given), layer(given), atol=1e-5)


def test_new_weights_are_noticed():
    layer, other = filled(Int8Linear(24, 10)), filled(Int8Linear(24, 10), scale=0.04, zero_point=3)
    other.weight = -other.weight
    given = images(4, 24)
    by_integers(layer, given)
    layer.load_state_dict(other.state_dict())  # written into the same tensors
    assert torch.equal(by_integers(layer, given), by_integers(other, given))
    layer.load_state_dict(filled(Int8Linear(24, 10)).state_dict(), assign=True)
    assert not torch.equal(by_integers(layer, given), by_integers(other, given))


def test_a_layer_that_ran_can_be_copied_and_saved():
    layer = filled(Int8Conv2d(8, 8, 3))
    before = by_integers(layer, images(2, 8, 5, 5))
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for twin in (copy.deepcopy(layer), torch.load(file, weights_only=False)):
        assert torch.equal(by_integers(twin, images(2, 8, 5, 5)), before)


def test_gradients_reach_the_input_and_the_bias():
    layer = small()
    given = torch.tensor([[0.34, 100.0]], requires_grad=True)
    layer(given).sum().backward()
    assert given.grad.tolist() == [[0.5, 0.0]]  # none where the input is cut off
    assert layer.bias.grad.tolist() == [1.0]


def test_only_the_bias_is_a_parameter_and_the_weight_is_int8():
    layer = Int8Conv2d(8, 4, 3)
    assert [name for name, _ in layer.named_parameters()] == ["bias"]
    assert layer.state_dict()["weight"].dtype == torch.int8
    assert isinstance(layer, nn.Conv2d)
    assert not list(Int8Linear(8, 4, bias=False).parameters())


@pytest.mark.parametrize("grad", [False, True], ids=["integers", "floats"])
def test_an_output_is_rounded_to_its_256_values_when_asked(grad):
    layer = filled(Int8Linear(24, 10, quantized_output=True))
    layer.output_scale.fill_(0.25)
    layer.output_zero_point.fill_(4)
    with torch.set_grad_enabled(grad):
        steps = layer(100 * images(50, 24)) / 0.25
    assert torch.equal(steps, steps.round())
    assert steps.min() == -4
    assert steps.unique().numel() > 4
