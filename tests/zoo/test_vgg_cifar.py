import math

import torch
from torch import nn

from compressbench.zoo.vgg_cifar import VGG16Cifar


def test_layers_have_the_names_recipes_use():
    names = {name for name, _ in VGG16Cifar(3, 10).named_children()}
    assert {f"{kind}{number}" for kind in ("conv", "bn") for number in range(1, 14)} <= names
    assert {"fc1", "bn_fc1", "fc2"} <= names


def test_channels_and_classes_follow_the_dataset():
    assert VGG16Cifar(1, 100)(torch.zeros(2, 1, 32, 32)).shape == (2, 100)


def test_convolutions_start_with_he_s_spread():
    torch.manual_seed(0)
    for name, module in VGG16Cifar(3, 10).named_modules():
        if isinstance(module, nn.Conv2d):
            expected = math.sqrt(2 / (module.out_channels * 9))
            assert abs(module.weight.std().item() / expected - 1) < 0.05, name
