"""A layer as JSON is built again as it was, and only layers that files may name are."""

import pytest
import torch
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.packing.modules import changed_modules, changed_network, describe, fresh_network, make_module
from compressbench.packing.resizing import resize

LAYERS = [
    nn.Conv2d(4, 8, (3, 5), stride=2, padding=(1, 2), dilation=2, groups=4, bias=False),
    nn.Conv2d(3, 8, 3, padding="same", padding_mode="reflect"),
    nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=1),
    nn.Linear(3, 5, bias=False),
    nn.BatchNorm2d(7, eps=1e-3, momentum=None, affine=False),
    nn.LayerNorm((3, 4)),
    nn.GroupNorm(2, 6),
    nn.Dropout(0.25),
    nn.MaxPool2d(3, stride=2, ceil_mode=True),
    nn.AvgPool2d(2),
    nn.AdaptiveAvgPool2d((2, 1)),
    nn.Hardtanh(-2.0, 3.0),
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


@pytest.mark.parametrize(
    "layers",
    [(nn.Linear(3, 4),), (nn.Linear(3, 4), nn.ReLU(), nn.ReLU(), nn.Linear(4, 4)), ()],
    ids=["missing", "added", "none"],
)
def test_a_layer_that_went_missing_or_came_between_is_an_error(layers: tuple[nn.Module, ...]) -> None:
    with pytest.raises(ValueError, match="instead of 0, 1"):
        changed_modules(nn.Sequential(*layers), nn.Sequential(nn.Linear(3, 4), nn.ReLU()))


class Scaled(nn.BatchNorm2d):
    """A layer of somebody else, with settings of every kind."""

    def __init__(self, channels: int):
        super().__init__(channels)
        self.kernel, self.mode, self.exact = (1, 1), "zeros", True


def test_of_a_layer_that_files_cannot_name_they_say_its_new_sizes() -> None:
    fresh, model = (nn.Sequential(nn.Conv2d(3, channels, 1), Scaled(channels)) for channels in (8, 5))
    changed = changed_modules(model, fresh)
    assert changed["1"] == {"type": "resized", "arguments": {"num_features": 5}}
    assert changed_modules(fresh, fresh) == {}
    shapes = {f"1.{name}": tuple(tensor.shape) for name, tensor in model[1].state_dict().items()}
    resize(fresh[1], "1", changed["1"]["arguments"], shapes)
    assert fresh[1].num_features == 5
    assert {name: tensor.shape for name, tensor in fresh[1].state_dict().items()} == {
        name: tensor.shape for name, tensor in model[1].state_dict().items()
    }


@pytest.mark.parametrize(("setting", "value"), [("mode", "reflect"), ("exact", False), ("eps", 0.1), ("kernel", 3)])
def test_any_other_setting_of_it_may_not_change(setting: str, value: object) -> None:
    fresh, model = (nn.Sequential(Scaled(8)) for _ in range(2))
    setattr(model[0], setting, value)
    with pytest.raises(ValueError, match=rf"'{setting}': .*which a packed file cannot store"):
        changed_modules(model, fresh)


@pytest.mark.parametrize(
    "sizes", [{"mode": "x"}, {"exact": 1}, {"forward": 3}, {"__class__": 3}, {"num_features": -1}, {"kernel": [1, "a"]}]
)
def test_a_file_can_change_nothing_but_sizes(sizes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="is no size of 0"):
        resize(Scaled(8), "0", sizes, {})


def test_a_description_cannot_say_where_a_layer_lies_or_of_what_dtype_it_is() -> None:
    for argument in ({"device": "cpu"}, {"dtype": "float64"}, {"self": 1}):
        with pytest.raises(ValueError, match="is not an argument of Linear"):
            make_module({"type": "Linear", "arguments": {"in_features": 10**6, "out_features": 10**6, **argument}})


def test_a_network_of_too_many_modules_is_not_built_to_its_end() -> None:
    deep = Architecture(
        "compressbench.zoo.resnet_cifar.ResNetCifar", {"in_channels": 3, "classes": 10, "depth": 6 * 10**12 + 2}
    )
    with pytest.raises(ValueError, match="more than 5,000 modules"):
        fresh_network(deep)
    fresh_network(Architecture(deep.target, {**deep.arguments, "depth": 110}))
    nn.Sequential(*(nn.Identity() for _ in range(5_001)))  # nobody else is limited


def test_only_layers_that_the_network_has_can_be_changed() -> None:
    lenet = Architecture("compressbench.zoo.lenet.LeNet5", {"in_channels": 1, "classes": 10, "image_size": 28})
    identity = {"type": "Identity", "arguments": {}}
    assert isinstance(changed_network(lenet, {"relu1": identity}).relu1, nn.Identity)
    for name in ("relu7", "", "__class__", "fc1.more", "forward"):
        with pytest.raises(ValueError, match="has no module"):
            changed_network(lenet, {name: identity})


def test_pruned_networks_of_every_kind_are_rebuilt_without_touching_the_random_state() -> None:
    before = torch.get_rng_state()
    for layer in LAYERS:
        make_module(describe(layer) or {})
    assert torch.equal(before, torch.get_rng_state())
