"""Network slimming cuts by one threshold over all scales (Liu et al. 2017)."""

import pytest
import torch
from torch import nn

from compressbench.techniques.pruning.slimming import NetworkSlimming
from tests.techniques.lending import ALEXNET, PLAIN, StageContext, bare, seeded, subject_of


def small(first: list[float], second: list[float]) -> nn.Sequential:
    """Two convolutions with batch norms of these scales, and a linear layer."""
    model = seeded(
        lambda: nn.Sequential(
            nn.Conv2d(3, len(first), 3),
            nn.BatchNorm2d(len(first)),
            nn.ReLU(),
            nn.Conv2d(len(first), len(second), 3),
            nn.BatchNorm2d(len(second)),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(len(second), 10),
        )
    )
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor(first))
        model[4].weight.copy_(torch.tensor(second))
    return model


def slim(model: nn.Module, ratio: float, layers: tuple[str, ...] = ("bn",), ignore: tuple[str, ...] = (), round_to=1):
    return NetworkSlimming(ratio, list(layers), list(ignore), round_to).apply(bare(model), StageContext(side=8))


def test_a_channel_stays_if_its_scale_is_more_than_the_threshold_of_the_whole_network():
    model = small([0.1, -0.9, 0.2, 0.8], [0.3, 0.7, -0.4, 0.05])
    slim(model, 0.5)  # sorted: .05 .1 .2 .3 [.4] .7 .8 .9; the fifth is the threshold
    assert model[1].weight.tolist() == pytest.approx([-0.9, 0.8])
    assert model[4].weight.tolist() == pytest.approx([0.7])
    assert [model[0].out_channels, model[3].in_channels, model[3].out_channels, model[8].in_features] == [2, 2, 1, 1]


def test_a_layer_below_the_threshold_keeps_its_best_channel_and_is_reported():
    model = small([0.1, 0.12, 0.11], [0.3, 0.7, 0.4])
    subject = slim(model, 0.5)
    assert model[1].weight.tolist() == pytest.approx([0.12])
    assert [skipped.what for skipped in subject.skipped] == ["0"]
    assert "never emptied" in subject.skipped[0].why


def test_a_ratio_of_nothing_removes_nothing():
    model = small([0.1, 0.2], [0.3, 0.7])
    slim(model, 0.0)
    assert [model[0].out_channels, model[3].out_channels] == [2, 2]


def test_equal_scales_at_the_threshold_all_go_as_in_the_authors_code():
    model = small([0.5, 0.5, 0.9, 0.9], [0.5, 0.9, 0.5, 0.1])
    slim(model, 0.25)  # the third smallest is 0.5, and three more are equal to it
    assert [model[0].out_channels, model[3].out_channels] == [2, 1]


def test_kept_batch_norms_take_no_part():
    model = small([0.1, 0.2, 0.3, 0.4], [0.01, 0.02, 0.03, 0.04])
    slim(model, 0.5, ignore=("4",))
    assert [model[0].out_channels, model[3].out_channels] == [1, 4]  # 0.3 is the threshold of the four


def test_channels_that_stay_are_rounded_up_with_the_next_best():
    model = small([0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8])
    slim(model, 0.25, round_to=2)  # 0.3 is the threshold: one and four stay
    assert model[1].weight.tolist() == pytest.approx([0.3, 0.4])


def test_a_batch_norm_that_follows_no_convolution_is_reported_by_type_and_refused_by_name():
    vgg = subject_of("compressbench.zoo.vgg_cifar.VGG16Cifar")
    for module in vgg.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, generator=torch.Generator().manual_seed(0))
    subject = NetworkSlimming(0.2, ["bn"], [], 1).apply(vgg, StageContext())
    assert [(skipped.what, skipped.why) for skipped in subject.skipped] == [
        ("bn_fc1", "it does not follow a convolution directly")
    ]
    with pytest.raises(ValueError, match="bn_fc1 cannot be removed: it does not follow a convolution"):
        NetworkSlimming(0.2, ["bn_fc1"], [], 1).apply(subject, StageContext())


def test_a_batch_norm_behind_a_depthwise_convolution_is_refused_by_name():
    mobilenet = subject_of("compressbench.zoo.torchvision_models.torchvision_model", name="mobilenet_v2")
    with pytest.raises(ValueError, match=r"features\.2\.conv\.1\.0 is a depthwise convolution; its filters go with"):
        NetworkSlimming(0.2, ["features.2.conv.0.1", "features.2.conv.1.1"], [], 1).apply(mobilenet, StageContext())


def test_scales_of_layers_that_are_added_are_summed():
    subject = subject_of("compressbench.zoo.torchvision_models.torchvision_model", name="resnet18")
    model = subject.model
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.fill_(10)
        for norm in (model.bn1, model.layer1[0].bn2, model.layer1[1].bn2):
            norm.weight[5] = 0.1  # the sum is 0.3
        model.bn1.weight[6] = 0.0  # the sum is 20
    NetworkSlimming(1e-9, ["bn"], [], 1).apply(subject, StageContext())  # threshold: the smallest of all
    assert [model.conv1.out_channels, model.layer1[1].conv2.out_channels, model.layer2[0].conv1.in_channels] == [63] * 3
    assert 0 in model.bn1.weight


def test_a_network_without_batch_norm_is_refused():
    with pytest.raises(ValueError, match="leaves no layer of AlexNet"):
        NetworkSlimming(0.5, ["bn"], [], 1).apply(subject_of(ALEXNET, **PLAIN), StageContext())
