import pytest
import torch

from compressbench.zoo.lenet import LeNet5, LeNet300100


@pytest.mark.parametrize("network", [LeNet5, LeNet300100])
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (1, 32), (3, 32), (1, 29), (3, 16)])
def test_any_channels_and_image_size_give_one_logit_a_class(network, channels, size):
    assert network(channels, 7, image_size=size)(torch.zeros(2, channels, size, size)).shape == (2, 7)


def test_lenet5_flattens_to_800_on_mnist():
    network = LeNet5(1, 10, image_size=28)
    assert (network.fc1.in_features, network.fc1.out_features, network.fc2.out_features) == (800, 500, 10)


def test_layers_have_the_names_recipes_use():
    assert {"conv1", "conv2", "fc1", "fc2"} <= {name for name, _ in LeNet5(1, 10, 28).named_children()}
    assert {"fc1", "fc2", "fc3"} <= {name for name, _ in LeNet300100(1, 10, 28).named_children()}


@pytest.mark.parametrize(("network", "size"), [(LeNet5, 15), (LeNet300100, 0)])
def test_an_image_too_small_is_refused_with_the_smallest_allowed(network, size):
    with pytest.raises(ValueError, match=rf"image_size is {size}; allowed: \d+ or more"):
        network(1, 10, image_size=size)
