import copy

import pytest
import torch
import torch_pruning

from compressbench.zoo.resnet_cifar import ResNetCifar, Shortcut


@pytest.mark.parametrize(("depth", "blocks"), [(20, 3), (56, 9), (110, 18)])
def test_the_depth_is_the_number_of_layers_with_weights(depth, blocks):
    with torch.device("meta"):
        network = ResNetCifar(3, 10, depth)
    assert sum(parameter.dim() >= 2 for parameter in network.parameters()) == depth
    assert [len(stage) for stage in (network.stage1, network.stage2, network.stage3)] == [blocks] * 3


@pytest.mark.parametrize("depth", [2, 18, 55, 57])
def test_a_depth_that_is_not_6n_plus_2_is_refused(depth):
    with pytest.raises(ValueError, match=f"depth is {depth}"):
        ResNetCifar(3, 10, depth)


def test_layers_have_the_names_recipes_use():
    names = dict(ResNetCifar(3, 10, 20).named_modules())
    assert {"conv1", "bn1", "stage1.0.conv1", "stage1.0.bn1", "stage1.0.conv2", "stage3.2.bn2", "fc"} <= names.keys()


def test_channels_classes_and_image_size_follow_the_dataset():
    assert ResNetCifar(1, 7, 20)(torch.zeros(2, 1, 28, 28)).shape == (2, 7)


def test_the_shortcut_keeps_every_second_pixel_and_adds_zero_channels_behind():
    images = torch.arange(16.0).reshape(1, 1, 4, 4)
    found = Shortcut(new_channels=2, stride=2)(images)
    assert found.shape == (1, 3, 2, 2)
    assert found[0, 0].tolist() == [[0.0, 2.0], [8.0, 10.0]]
    assert not found[0, 1:].any()


def test_filters_inside_a_block_can_be_removed_beside_a_shortcut():
    network = ResNetCifar(3, 10, 20).eval()
    images = torch.randn(2, 3, 32, 32)
    masked = copy.deepcopy(network)
    gone = [1, 30]
    with torch.no_grad():
        for parameter in [*masked.stage2[0].conv1.parameters(), *masked.stage2[0].bn1.parameters()]:
            parameter[gone] = 0
    graph = torch_pruning.DependencyGraph().build_dependency(network, images)
    graph.get_pruning_group(network.stage2[0].conv1, torch_pruning.prune_conv_out_channels, gone).prune()
    assert network.stage2[0].conv2.in_channels == 30
    torch.testing.assert_close(network(images), masked(images), atol=1e-5, rtol=0)


def test_a_whole_graph_can_be_exported_with_any_batch_size():
    network = ResNetCifar(3, 10, 20).eval()
    batch = torch.export.Dim("batch")
    exported = torch.export.export(network, (torch.zeros(2, 3, 32, 32),), dynamic_shapes=({0: batch},)).module()
    images = torch.randn(5, 3, 32, 32)
    torch.testing.assert_close(exported(images), network(images))
