"""A layer as JSON is built again as it was, and only layers that files may name are."""

import pytest
import torch
from torch import nn

from compressbench.packing.modules import changed_modules, describe, make_module

LAYERS = [
    nn.Conv2d(4, 8, (3, 5), stride=2, padding=(1, 2), dilation=2, groups=4, bias=False),
    nn.Conv2d(3, 8, 3, padding="same", padding_mode="reflect"),
    nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=1),
    nn.Linear(3, 5, bias=False),
    nn.BatchNorm2d(7, eps=1e-3, momentum=None, affine=False),
    nn.LayerNorm((3, 4)),
    nn.GroupNorm(2, 6),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_described_layer_is_built_again_the_same(layer: nn.Module) -> None:
    description = describe(layer)
    assert description is not None
    again = make_module(description)
    assert repr(again) == repr(layer)
    shapes = {name: tensor.shape for name, tensor in layer.state_dict().items()}
    assert {name: tensor.shape for name, tensor in again.state_dict().items()} == shapes
    assert all(parameter.is_meta for parameter in again.parameters())


def test_a_type_that_files_may_not_name_is_not_built() -> None:
    assert describe(nn.LSTM(2, 2)) is None
    with pytest.raises(ValueError, match="LSTM"):
        make_module({"type": "LSTM", "arguments": {}})


def test_only_layers_that_differ_are_told() -> None:
    fresh = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    pruned = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    assert changed_modules(fresh, fresh) == {}
    assert changed_modules(pruned, fresh).keys() == {"0", "2"}
    assert changed_modules(pruned, fresh)["0"] == {
        "type": "Linear",
        "arguments": {"in_features": 3, "out_features": 3},
    }


def test_a_layer_that_went_missing_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 of the architecture is missing"):
        changed_modules(nn.Sequential(nn.Linear(3, 4)), nn.Sequential(nn.Linear(3, 4), nn.ReLU()))


def test_pruned_networks_of_every_kind_are_rebuilt_without_touching_the_random_state() -> None:
    before = torch.get_rng_state()
    for layer in LAYERS:
        make_module(describe(layer) or {})
    assert torch.equal(before, torch.get_rng_state())
