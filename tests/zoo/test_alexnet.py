import copy

import pytest
import torch
import torch_pruning
from torch import nn

from compressbench.zoo.alexnet import AlexNet

PLAIN = {"batch_norm": False, "dropout": 0.0, "conv_bias": True, "hidden": [512, 512]}
BND = {"batch_norm": True, "dropout": 0.5, "conv_bias": True, "hidden": [512, 512]}
SLIMMING = {"batch_norm": True, "dropout": 0.0, "conv_bias": False, "hidden": []}


def test_layers_have_the_names_recipes_use():
    names = dict(AlexNet(3, 10, **BND).named_modules())
    expected = {f"{kind}{number}" for kind in ("conv", "bn") for number in range(1, 6)} | {"fc1", "fc2", "fc3"}
    assert expected <= names.keys()
    assert [name for name in dict(AlexNet(3, 10, **SLIMMING).named_modules()) if name.startswith("fc")] == ["fc1"]


def test_an_image_of_32_x_32_shrinks_as_the_table_says():
    sides = {}
    network = AlexNet(1, 10, **PLAIN)
    for name, module in network.named_children():
        module.register_forward_hook(lambda _m, _i, output, name=name: sides.update({name: tuple(output.shape[1:])}))
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 10)
    shapes = [sides[name] for name in ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5", "fc1")]
    assert shapes == [
        *((64, 8, 8), (64, 4, 4), (192, 4, 4), (192, 2, 2)),
        *((384, 2, 2), (256, 2, 2), (256, 2, 2), (256, 1, 1), (512,)),
    ]


def test_dropout_stands_before_each_hidden_layer_and_not_before_the_last():
    names = [name for name, _ in AlexNet(3, 10, **BND).named_children()]
    assert [names[names.index(f"fc{number}") - 1] for number in (1, 2, 3)] == ["dropout_fc1", "dropout_fc2", "relu_fc2"]
    assert not any(isinstance(module, nn.Dropout) for module in AlexNet(3, 10, **PLAIN).modules())


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 5])
def test_an_impossible_dropout_is_refused_by_name(dropout):
    with pytest.raises(ValueError, match="dropout"):
        AlexNet(3, 10, **{**BND, "dropout": dropout})


@pytest.mark.parametrize("hidden", [[0], [512, -1]])
def test_an_impossible_width_is_refused_by_name(hidden):
    with pytest.raises(ValueError, match=r"hidden is .*; allowed: widths of 1 or more"):
        AlexNet(3, 10, **{**PLAIN, "hidden": hidden})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": [64, 192, 384, 256]}, r"channels is .*; allowed: 5 widths of 1 or more"),
        ({"channels": [64, 192, 384, 256, 0]}, r"channels is .*; allowed: 5 widths of 1 or more"),
        ({"last_pool": "avg"}, r"last_pool is 'avg'; .*average"),
    ],
)
def test_impossible_channels_and_pools_are_refused_by_name(changes, said):
    with pytest.raises(ValueError, match=said):
        AlexNet(3, 10, **BND, **changes)


def test_the_last_pool_averages_if_asked_and_the_others_do_not():
    network = AlexNet(3, 10, **BND, last_pool="average").eval()
    seen = {}
    network.relu5.register_forward_hook(lambda _m, _i, output: seen.update(before=output))
    network.pool5.register_forward_hook(lambda _m, _i, output: seen.update(after=output))
    network(torch.randn(2, 3, 32, 32))
    assert torch.allclose(seen["after"], seen["before"].mean((2, 3), keepdim=True))
    assert [type(network.get_submodule(f"pool{number}")) for number in (1, 2)] == [nn.MaxPool2d, nn.MaxPool2d]


@pytest.mark.parametrize("variant", [PLAIN, BND, SLIMMING, {**SLIMMING, "last_pool": "average"}])
def test_filters_of_the_last_convolution_can_be_removed_through_the_flatten(variant):
    network = AlexNet(3, 10, **variant).eval()
    images = torch.randn(2, 3, 32, 32)
    masked = copy.deepcopy(network)
    gone = [0, 7, 255]
    with torch.no_grad():
        for parameter in [*masked.conv5.parameters(), *(masked.bn5.parameters() if variant["batch_norm"] else ())]:
            parameter[gone] = 0
    graph = torch_pruning.DependencyGraph().build_dependency(network, images)
    graph.get_pruning_group(network.conv5, torch_pruning.prune_conv_out_channels, gone).prune()
    assert (network.conv5.out_channels, network.fc1.in_features) == (253, 253)
    torch.testing.assert_close(network(images), masked(images), atol=1e-5, rtol=0)


def test_a_whole_graph_can_be_exported_with_any_batch_size():
    network = AlexNet(3, 10, **BND).eval()
    batch = torch.export.Dim("batch")
    exported = torch.export.export(network, (torch.zeros(2, 3, 32, 32),), dynamic_shapes=({0: batch},)).module()
    images = torch.randn(5, 3, 32, 32)
    torch.testing.assert_close(exported(images), network(images))


def test_a_deep_copy_shares_no_tensor():
    network = AlexNet(3, 10, **BND)
    twin = copy.deepcopy(network)
    theirs = {tensor.data_ptr() for tensor in network.state_dict().values()}
    assert not theirs & {tensor.data_ptr() for tensor in twin.state_dict().values()}
