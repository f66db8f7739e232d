import torch
from torch import nn

from compressbench.layers.activations import DorefaActivation, PactActivation
from compressbench.layers.binary import BinaryConv2d, BinaryLinear
from compressbench.metrics.flops_survey import flops_survey
from compressbench.zoo.alexnet import AlexNet

PLAIN = {"batch_norm": False, "dropout": 0.0, "conv_bias": True, "hidden": [512, 512]}


def test_every_kind_of_layer_is_counted_as_by_hand():
    network = nn.Sequential(
        nn.Conv2d(4, 6, 3, padding=1, groups=2),  # 6*8*8 outputs, 2*2*9 + 1 each: 14,208
        nn.ReLU(),  # 384
        nn.MaxPool2d(3, stride=2, padding=1),  # 6*4*4 outputs, 9 each: 864
        nn.AvgPool2d((2, 1)),  # 6*2*4 outputs, 2 each: 96
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(48, 10),  # 10 outputs, 97 each: 970
        nn.Softmax(dim=1),
    )
    assert flops_survey(network, torch.zeros(1, 4, 8, 8)) == 3 * (14_208 + 384 + 864 + 96 + 970)


def test_with_batch_norm_a_pool_between_convolutions_counts_and_one_behind_them_does_not():
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1, bias=False),  # 2*4*4 outputs, 2 each: 64
        nn.BatchNorm2d(2),  # 64
        nn.MaxPool2d(2),  # 2*2*2 outputs, 4 each: 32
        nn.Conv2d(2, 2, 1, bias=False),  # 2*2*2 outputs, 4 each: 32
        nn.MaxPool2d(2),
    )
    assert flops_survey(network, torch.zeros(1, 1, 4, 4)) == 3 * (64 + 64 + 32 + 32)


def test_zero_weights_and_more_images_change_nothing():
    network = AlexNet(3, 10, **PLAIN)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    assert flops_survey(network, torch.zeros(4, 3, 32, 32)) == 92_212_254


def test_binary_layers_count_like_those_they_replace_and_activations_of_few_bits_like_nothing():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 5))
    binary = nn.Sequential(
        BinaryConv2d(3, 4, 3), PactActivation(2), DorefaActivation(2), nn.Flatten(), BinaryLinear(4, 5)
    )
    example = torch.ones(1, 3, 3, 3)
    assert flops_survey(binary, example) == flops_survey(plain, example) == 3 * (4 * (2 * 27 + 1) + 5 * (2 * 4 + 1))
