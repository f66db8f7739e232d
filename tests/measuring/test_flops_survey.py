import pytest
import torch
from torch import nn

from compressbench.measuring.flops_survey import flops_survey
from compressbench.measuring.parameters import parameter_counts
from compressbench.zoo.alexnet import AlexNet

PLAIN = {"batch_norm": False, "dropout": 0.0, "conv_bias": True, "hidden": [512, 512]}
BND = {"batch_norm": True, "dropout": 0.5, "conv_bias": True, "hidden": [512, 512]}
SLIMMING = {"batch_norm": True, "dropout": 0.0, "conv_bias": False, "hidden": []}


@pytest.mark.parametrize(
    ("channels", "variant", "flops"),
    [
        (3, PLAIN, 92_212_254),
        (3, BND, 92_273_694),
        (3, SLIMMING, 89_860_638),
        (1, PLAIN, 86_264_862),
        (1, BND, 86_326_302),
        (1, SLIMMING, 83_913_246),
    ],
)
def test_the_surveys_alexnets_have_the_flops_it_prints(channels, variant, flops):
    assert flops_survey(AlexNet(channels, 10, **variant), torch.zeros(1, channels, 32, 32)) == flops


def with_channels(in_channels: int, batch_norm: bool, widths: list[int]) -> nn.Module:
    """The survey's AlexNet with other widths, put together by hand."""
    network = AlexNet(in_channels, 10, **(BND if batch_norm else PLAIN))
    channels = in_channels
    for number, width in enumerate(widths, start=1):
        old = network.get_submodule(f"conv{number}")
        new = nn.Conv2d(channels, width, old.kernel_size, stride=old.stride, padding=old.padding)
        network.set_submodule(f"conv{number}", new)
        if batch_norm:
            network.set_submodule(f"bn{number}", nn.BatchNorm2d(width))
        channels = width
    network.fc1 = nn.Linear(channels, 512)
    return network


@pytest.mark.parametrize(
    ("channels", "batch_norm", "widths", "params", "flops"),
    [
        (3, False, [64, 134, 268, 179, 179], 1_641_727, 56_776_266),
        (3, False, [64, 96, 192, 128, 128], 1_045_802, 38_561_310),
        (3, True, [44, 96, 192, 128, 128], 990_522, 31_189_278),
        (3, True, [64, 76, 153, 102, 102], 804_593, 30_744_414),
        (1, False, [64, 96, 192, 128, 128], 1_030_314, 32_613_918),
        (1, True, [44, 96, 192, 128, 128], 979_874, 27_100_446),
        (1, True, [64, 76, 153, 102, 102], 789_105, 24_797_022),
    ],
)
def test_networks_with_fewer_filters_are_counted_by_the_shapes_they_have(channels, batch_norm, widths, params, flops):
    network = with_channels(channels, batch_norm, widths)
    assert parameter_counts(network)["params_without_bn"] == params
    assert flops_survey(network, torch.zeros(1, channels, 32, 32)) == flops


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
