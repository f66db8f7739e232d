import torch
from torch import nn

from compressbench.zoo._initialization import he_normal
from compressbench.zoo.resnet_cifar import ResNetCifar


def test_biases_start_at_zero_and_linear_layers_are_left_alone():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(4, 4))
    before = network[1].weight.clone()
    he_normal(network)
    assert not network[0].bias.any()
    assert torch.equal(network[1].weight, before)


def test_a_deep_network_neither_fades_nor_explodes():
    torch.manual_seed(0)
    network = ResNetCifar(3, 10, 110).train()
    spread = network.stage3(network.stage2(network.stage1(torch.randn(8, 16, 32, 32)))).std().item()
    assert 0.1 < spread < 100
