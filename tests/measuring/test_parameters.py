import copy

import pytest
import torch
from torch import nn

from compressbench.measuring.parameters import parameter_counts, weight_count
from compressbench.zoo.alexnet import AlexNet
from compressbench.zoo.lenet import LeNet5, LeNet300100
from compressbench.zoo.resnet_cifar import ResNetCifar
from compressbench.zoo.torchvision_models import torchvision_model
from compressbench.zoo.vgg_cifar import VGG16Cifar

PLAIN = {"batch_norm": False, "dropout": 0.0, "conv_bias": True, "hidden": [512, 512]}
BND = {"batch_norm": True, "dropout": 0.5, "conv_bias": True, "hidden": [512, 512]}
SLIMMING = {"batch_norm": True, "dropout": 0.0, "conv_bias": False, "hidden": []}


@pytest.mark.parametrize(
    ("channels", "variant", "without_bn", "with_bn"),
    [
        (3, PLAIN, 2_869_066, 2_869_066),
        (3, BND, 2_869_066, 2_871_370),
        (3, SLIMMING, 2_471_114, 2_473_418),
        (1, PLAIN, 2_853_578, 2_853_578),
        (1, BND, 2_853_578, 2_855_882),
        (1, SLIMMING, 2_455_626, 2_457_930),
    ],
)
def test_the_surveys_alexnets_have_the_parameters_it_prints(channels, variant, without_bn, with_bn):
    counts = parameter_counts(AlexNet(channels, 10, **variant))
    assert (counts["params_without_bn"], counts["params"]) == (without_bn, with_bn)


@pytest.mark.parametrize(
    ("network", "params"),
    [
        (lambda: LeNet5(1, 10, image_size=28), 431_080),
        (lambda: LeNet300100(1, 10, image_size=28), 266_610),
        (lambda: torchvision_model(3, 1000, "alexnet"), 61_100_840),
        (lambda: torchvision_model(3, 1000, "vgg16"), 138_357_544),
        (lambda: torchvision_model(3, 1000, "resnet18"), 11_689_512),
    ],
)
def test_published_networks_have_their_published_parameters(network, params):
    with torch.device("meta"):
        assert parameter_counts(network())["params"] == params


@pytest.mark.parametrize(
    ("network", "weights"),
    [
        (lambda: VGG16Cifar(3, 10), 14_977_728),
        (lambda: ResNetCifar(3, 10, 56), 848_944),
        (lambda: ResNetCifar(3, 10, 110), 1_719_856),
    ],
)
def test_the_weights_alone_are_as_many_as_li_et_al_print(network, weights):
    with torch.device("meta"):
        assert weight_count(network()) == weights


def small() -> nn.Sequential:
    """conv 2*1*3*3 + 2 biases = 20, batch norm 4, fc 3*2 + 3 biases = 9."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))


def test_zeros_are_left_out_of_the_nonzero_counts_only():
    network = small()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1)
        network[0].weight[0, 0, 0] = 0  # 3 zeros
        network[1].bias.zero_()  # 2 zeros, batch norm's
        network[3].bias[1] = 0  # 1 zero
    assert parameter_counts(network) == {
        "params": 33,
        "params_nonzero": 27,
        "params_without_bn": 29,
        "params_without_bn_nonzero": 25,
    }


def test_running_statistics_are_no_parameters_and_one_dimensional_batch_norm_is_batch_norm():
    counts = parameter_counts(nn.Sequential(nn.BatchNorm1d(5), nn.BatchNorm2d(5, affine=False)))
    assert (counts["params"], counts["params_without_bn"]) == (10, 0)


def test_shared_parameters_count_once():
    layer = nn.Linear(4, 4)
    twin = nn.Linear(4, 4)
    twin.weight = layer.weight
    assert parameter_counts(nn.Sequential(layer, twin, layer))["params"] == 16 + 4 + 4


def test_a_weight_that_is_not_a_number_is_not_zero():
    network = nn.Linear(2, 1, bias=False)
    nn.init.constant_(network.weight, float("nan"))
    assert parameter_counts(network)["params_nonzero"] == 2


def test_without_values_there_are_no_nonzero_counts():
    assert parameter_counts(copy.deepcopy(small()).to("meta")) == {"params": 33, "params_without_bn": 29}
