"""Sums over a layer's inputs: the error of its output as a quadratic form of its weights, of any kind of layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compressbench.techniques._layer_sums import columns_of, inverse_cholesky, layer_sums, obstacle
from tests.techniques.lending import StageContext, seeded

LAYERS = {
    "strided": lambda: nn.Conv2d(4, 6, 3, stride=2, padding=(1, 2), dilation=2),
    "grouped": lambda: nn.Conv2d(4, 6, (3, 1), groups=2),
    "depthwise": lambda: nn.Conv2d(4, 8, 3, groups=4, bias=False),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_a_convolution_is_its_weights_times_the_columns_in_every_group(kind: str) -> None:
    model = seeded(lambda: nn.Sequential(LAYERS[kind]()))
    images = StageContext(4, 9).images
    layer = model[0]
    assert isinstance(layer, nn.Conv2d)
    columns = columns_of(model, "0", images)
    products = torch.cat(
        [c @ w.T for c, w in zip(columns, layer.weight.flatten(1).chunk(layer.groups), strict=True)], 1
    )
    expected = nn.functional.conv2d(
        images, layer.weight, None, layer.stride, layer.padding, layer.dilation, layer.groups
    )
    assert torch.allclose(products, expected.permute(0, 2, 3, 1).flatten(0, 2), atol=1e-5)


def test_the_sums_give_the_error_of_any_other_weights() -> None:
    """|o - W s|^2 summed is sum(o^T o) - 2 tr(W P) + tr(W H W^T)."""
    context = StageContext(4, 9)
    model = seeded(lambda: nn.Sequential(LAYERS["grouped"]()))
    sums = layer_sums(model, "0", context, 64)
    images = next(context.calibration(64, 1))[0]
    columns, weights = columns_of(model, "0", images), model[0].get_parameter("weight").detach().flatten(1).chunk(2)
    assert sums.count == columns.shape[1] == len(images) * 7 * 9
    other = seeded(lambda: torch.randn(3, 6))
    for group, weight in enumerate(weights):
        wanted = columns[group] @ weight.T
        expected = (wanted - columns[group] @ other.T).square().sum()
        inputs, products = sums.inputs[group], sums.products[group]
        found = wanted.square().sum() - 2 * (other @ products).trace() + (other @ inputs @ other.T).trace()
        assert float(found) == pytest.approx(float(expected.detach()), rel=1e-4)


def test_what_is_wanted_can_be_another_networks_output() -> None:
    context = StageContext(4, 9)
    model, original = (seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(324, 3))) for _ in range(2))
    with torch.no_grad():
        original[1].weight.mul_(3)
    ours, theirs = layer_sums(model, "1", context, 1), layer_sums(model, "1", context, 1, original)
    assert torch.allclose(theirs.products, 3 * ours.products, rtol=1e-4, atol=1e-3)
    assert torch.equal(theirs.inputs, ours.inputs)


def test_the_factor_of_the_inverse_says_what_each_weight_costs_and_who_makes_up_for_it() -> None:
    """Of the weights from i on, with those before gone: 1 / (H[i:, i:]^-1)_00 and its first row (Hassibi 1993)."""
    rows = seeded(lambda: torch.randn(50, 5)).double()
    hessian = rows.T @ rows
    factor = inverse_cholesky(hessian[None], 0.0)[0]
    for i in range(5):
        inverse = torch.linalg.inv(hessian[i:, i:])
        assert float(factor[i, i]) ** 2 == pytest.approx(float(inverse[0, 0]))
        assert torch.allclose(factor[i, i:] / factor[i, i], inverse[0] / inverse[0, 0])


def test_inputs_that_say_nothing_are_an_error_or_damped() -> None:
    hessian = torch.ones(1, 2, 2)
    with pytest.raises(ValueError, match=r"do not determine its weights with damping 0; take more"):
        inverse_cholesky(hessian, 0.0)
    assert inverse_cholesky(hessian, 0.01).isfinite().all()
    silent = torch.diag(torch.tensor([4.0, 0.0]))[None]
    assert inverse_cholesky(silent, 0.0)[0].diagonal().tolist() == [0.5, 1.0]


def test_layers_without_such_sums_say_why_and_one_that_is_not_used_is_an_error() -> None:
    assert obstacle(nn.Linear(2, 2)) == obstacle(nn.Conv2d(2, 2, 3, groups=2)) == ""
    assert "neither linear nor a convolution" in obstacle(nn.Embedding(2, 2))
    assert "never calls it" in obstacle(nn.MultiheadAttention(2, 1).out_proj)
    assert "'same'" in obstacle(nn.Conv2d(2, 2, 3, padding="same"))
    assert "zeros around them" in obstacle(nn.Conv2d(2, 2, 3, padding_mode="reflect"))
    model = nn.Sequential(nn.Flatten(), nn.Linear(324, 3))
    model.spare = nn.Linear(3, 3)
    model.forward = lambda x: model[1](model[0](x))  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="the network has spare, but does not use it"):
        layer_sums(model, "spare", StageContext(4, 9), 1)


def test_padded_sequences_are_looked_at_as_they_are() -> None:
    """Not as torch puts them for its fast path, as a tensor of rows of several lengths."""
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    model = seeded(lambda: nn.TransformerEncoder(layer, 1)).eval()
    padding, given = torch.tensor([[False, False, True]]), torch.ones(1, 3, 4)
    network = nn.ModuleDict({"body": model})
    network.forward = lambda x: model(x, src_key_padding_mask=padding)  # type: ignore[method-assign]
    with torch.no_grad():
        assert columns_of(network, "body.layers.0.linear1", given).shape == (1, 3, 4)
    assert torch.backends.mha.get_fastpath_enabled()
