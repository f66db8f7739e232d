"""Selectors choose layers, and say what is near when they choose none."""

import pytest
from torch import nn

from compressbench.techniques._layers import check_ratios, names_in, ratio_by_layer, select
from tests.techniques.lending import ALEXNET, BND, subject_of


@pytest.fixture(scope="module")
def alexnet() -> nn.Module:
    return subject_of(ALEXNET, **BND).model


@pytest.mark.parametrize(
    ("layers", "keep", "chosen"),
    [
        (["conv"], [], ["conv1", "conv2", "conv3", "conv4", "conv5"]),
        (["linear"], ["last"], ["fc1", "fc2"]),
        (["conv", "linear"], ["first", "fc*"], ["conv2", "conv3", "conv4", "conv5"]),
        (["first", "last"], [], ["conv1", "fc3"]),
        (["conv[24]"], [], ["conv2", "conv4"]),
        (["fc2", "conv3"], [], ["conv3", "fc2"]),
    ],
)
def test_layers_are_chosen_by_type_position_glob_and_name_in_the_order_of_definition(alexnet, layers, keep, chosen):
    assert list(select(alexnet, layers, keep)) == chosen


def test_a_glob_reaches_into_a_nested_network():
    model = subject_of("compressbench.zoo.resnet_cifar.ResNetCifar", depth=8).model
    assert list(select(model, ["stage[12].*.conv1"], [])) == ["stage1.0.conv1", "stage2.0.conv1"]


def test_batch_norms_are_chosen_only_by_who_asks_for_them(alexnet):
    assert list(select(alexnet, ["bn", "last"], ["first"], kinds=("bn",))) == ["bn2", "bn3", "bn4", "bn5"]
    with pytest.raises(ValueError, match="matches no layer"):
        select(alexnet, ["bn"], [])


@pytest.mark.parametrize(("key", "layers", "keep"), [("targets", ["conv6"], []), ("ignore", ["conv"], ["cnv3"])])
def test_a_selector_that_matches_nothing_names_the_nearest_layer(alexnet, key, layers, keep):
    with pytest.raises(ValueError, match=rf"{key} has '.*', which matches no layer; did you mean 'conv\d'\?"):
        select(alexnet, layers, keep)


def test_a_type_that_the_network_lacks_selects_nothing_of_it():
    mlp = subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8).model
    assert list(select(mlp, ["conv", "linear"], [])) == ["fc1", "fc2", "fc3"]
    with pytest.raises(ValueError, match="leaves no layer of LeNet300100"):
        select(mlp, ["conv"], [])


def test_types_and_positions_are_reserved_so_a_layer_of_that_name_needs_a_glob():
    model = nn.Sequential()
    for name in ("first", "conv", "linear"):
        model.add_module(name, nn.Conv2d(1, 1, 1))
    model.add_module("fc", nn.Linear(1, 1))
    assert list(select(model, ["conv", "linear"], [])) == ["first", "conv", "linear", "fc"]
    assert list(select(model, ["[c]onv"], [])) == ["conv"]
    assert names_in(["conv", "last", "fc"]) == {"fc"}
    assert ratio_by_layer(model, ["conv"], [], 0.5, {"conv": 0.1, "f*t": 0.2})["first"] == 0.2


def test_keeping_everything_is_refused(alexnet):
    with pytest.raises(ValueError, match="leaves no layer of AlexNet"):
        select(alexnet, ["conv"], ["conv*"])


def test_the_most_specific_ratio_wins(alexnet):
    ratios = {"conv3": 0.1, "conv[34]": 0.2, "first": 0.3, "conv": 0.4}
    assert ratio_by_layer(alexnet, ["conv", "linear"], ["fc3", "conv5"], 0.5, ratios) == {
        "conv1": 0.3,
        "conv2": 0.4,
        "conv3": 0.1,
        "conv4": 0.2,
        "fc1": 0.5,
        "fc2": 0.5,
    }


def test_equally_specific_ratios_that_disagree_are_refused(alexnet):
    with pytest.raises(ValueError, match=r"gives 'conv1' 0\.1 by 'conv\?' and 0\.2 by 'conv\[12\]'; name it exactly"):
        ratio_by_layer(alexnet, ["conv"], [], 0.5, {"conv?": 0.1, "conv[12]": 0.2})


def test_a_ratio_for_a_layer_that_is_not_pruned_at_all_is_refused(alexnet):
    with pytest.raises(ValueError, match="ratios has 'fc1', but targets"):
        ratio_by_layer(alexnet, ["conv"], [], 0.5, {"fc1": 0.1})
    assert "conv1" not in ratio_by_layer(alexnet, ["conv"], ["conv1"], 0.5, {"conv1": 0.1})


@pytest.mark.parametrize("value", [-0.1, 1.0, 1.5, float("nan")])
def test_ratios_outside_their_range_are_refused_with_their_key(value):
    with pytest.raises(ValueError, match=r"ratio is .*; allowed: 0 or more and less than 1"):
        check_ratios(value, {})
    with pytest.raises(ValueError, match=r"ratios\.conv is"):
        check_ratios(0.5, {"conv": value})
