"""Filters that can only go together are found, and so is what stands in their way."""

import pytest
import torch
from torch import nn

from compressbench.techniques.pruning._groups import Graph
from compressbench.techniques.pruning.l1_norm import L1NormPruning
from tests.techniques.lending import ALEXNET, BND, PLAIN, StageContext, bare, seeded, subject_of
from tests.techniques.pruning.twins import from_torchvision, halve

RESNET = "compressbench.zoo.resnet_cifar.ResNetCifar"
FROM_TORCHVISION = "compressbench.zoo.torchvision_models.torchvision_model"


def test_layers_that_meet_a_shortcut_without_parameters_are_reported_by_type_and_refused_by_name():
    subject = halve("conv").apply(subject_of(RESNET, depth=20), StageContext())
    left_out = {skipped.what for skipped in subject.skipped}
    assert left_out == {"conv1"} | {f"stage{s}.{b}.conv2" for s in (1, 2, 3) for b in (0, 1, 2)}
    assert all("shortcut without parameters" in skipped.why for skipped in subject.skipped)
    assert subject.model.stage1[0].conv1.out_channels == 8
    with pytest.raises(ValueError, match=r"stage2\.1\.conv2 cannot be removed: .* shortcut without parameters"):
        halve("stage2.1.conv2").apply(subject_of(RESNET, depth=20), StageContext())


def test_the_last_layer_is_reported_by_type_and_refused_by_name():
    subject = halve("conv", "linear").apply(subject_of(ALEXNET, **PLAIN), StageContext())
    assert [(skipped.what, skipped.why) for skipped in subject.skipped] == [
        ("fc3", "its filters are the outputs of the network")
    ]
    assert [subject.model.fc1.out_features, subject.model.fc2.in_features, subject.model.fc3.out_features] == [
        256,
        256,
        10,
    ]
    with pytest.raises(ValueError, match="fc3 cannot be removed: its filters are the outputs"):
        halve("fc3").apply(subject_of(ALEXNET, **PLAIN), StageContext())


def test_layers_whose_outputs_are_added_go_together_by_the_sum_of_their_scores():
    class Added(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Conv2d(1, 3, 1, bias=False), nn.Conv2d(1, 3, 1, bias=False)
            self.fc = nn.Linear(3, 2)

        def forward(self, images):
            return self.fc((self.left(images) + self.right(images)).mean((2, 3)))

    def network():
        model = Added()
        with torch.no_grad():
            model.left.weight[:, 0, 0, 0] = torch.tensor([1.0, 2.0, 3.0])
            model.right.weight[:, 0, 0, 0] = torch.tensor([9.0, 1.0, 5.0])  # sums 10, 3, 8
        return bare(model)

    context = StageContext(channels=1, side=4, classes=2)
    model = halve("conv", ratio=0.3).apply(network(), context).model
    assert model.left.weight.flatten().tolist() == [1, 3]
    assert model.right.weight.flatten().tolist() == [9, 5]
    assert model.fc.in_features == 2
    with pytest.raises(ValueError, match="left cannot be removed: it shares its filters with right"):
        halve("left").apply(network(), context)
    by_glob = halve("lef*").apply(network(), context)
    assert by_glob.model.left.out_channels == 3
    assert [skipped.what for skipped in by_glob.skipped] == ["left"]
    kept = halve("conv", ignore=("right",)).apply(network(), context)
    assert kept.model.left.out_channels == 3
    with pytest.raises(ValueError, match="left, right share their filters, but their ratios differ"):
        L1NormPruning(["conv"], 0.3, {"left": 0.6}, [], 1).apply(network(), context)


def test_a_depthwise_convolution_follows_the_layer_before_it():
    subject = halve("conv").apply(subject_of(FROM_TORCHVISION, name="mobilenet_v2"), StageContext())
    depthwise = subject.model.features[2].conv[1][0]
    assert depthwise.groups == depthwise.in_channels == depthwise.out_channels == 48
    assert subject.model.features[2].conv[0][0].out_channels == 48
    with pytest.raises(ValueError, match="is a depthwise convolution"):
        halve("features.2.conv.1.0").apply(subject_of(FROM_TORCHVISION, name="mobilenet_v2"), StageContext())


def test_a_depthwise_convolution_that_no_layer_takes_along_is_reported_and_cannot_be_kept_by_name():
    def network():
        return bare(seeded(lambda: nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 8, 1), nn.ReLU())))

    subject = network()
    subject.model.append(nn.AdaptiveAvgPool2d(1)).append(nn.Flatten()).append(nn.Linear(8, 10))
    halve("conv").apply(subject, StageContext())
    assert [(skipped.what, "what it reads keeps" in skipped.why) for skipped in subject.skipped] == [("0", True)]
    assert subject.model[1].out_channels == 4
    with pytest.raises(ValueError, match="0 is a depthwise convolution; its filters go with"):
        halve("conv", ignore=("0",)).apply(network(), StageContext())


def test_an_obstacle_has_the_name_of_its_layer_in_one_line():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.mix = nn.Conv2d(3, 8, 4, 4), nn.MultiheadAttention(8, 2, batch_first=True)
            self.fc = nn.Linear(8, 10)

        def forward(self, images):
            found = self.conv(images).flatten(2).transpose(1, 2)
            return self.fc(self.mix(found, found, found)[0].mean(1))

    subject = halve("conv").apply(bare(seeded(Attention)), StageContext())
    assert [(skipped.what, skipped.why) for skipped in subject.skipped] == [
        ("conv", "its channels go through mix, whose channels cannot be removed")
    ]


def test_normalisation_across_channels_is_an_obstacle():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(4, 10))
    subject = halve("conv").apply(bare(model), StageContext(side=5))
    assert [(skipped.what, "GroupNorm" in skipped.why) for skipped in subject.skipped] == [("0", True)]
    assert [model[0].out_channels, model[2].out_channels] == [8, 2]


def test_a_network_that_cannot_be_traced_is_refused_in_words():
    subject = from_torchvision("shufflenet_v2_x1_0")()
    with pytest.raises(ValueError, match="cannot follow the channels of ShuffleNetV2"):
        halve("conv").apply(subject, StageContext(side=32))


def test_whatever_a_network_raises_while_it_is_traced_is_said_in_words():
    class Picky(nn.Sequential):
        def forward(self, images):
            if images.shape[2] != 224:
                raise AssertionError("wrong height")
            return super().forward(images)

    model = Picky(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    with pytest.raises(ValueError, match=r"cannot follow the channels of Picky \(wrong height\)"):
        halve("conv").apply(bare(model), StageContext())


def test_a_layer_that_the_network_never_uses_is_reported():
    class Idle(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 10))
            self.spare = nn.Conv2d(3, 8, 3)

        def forward(self, images):
            return self[2](self[1](self[0](images)))

    subject = halve("conv").apply(bare(seeded(Idle)), StageContext(side=3))
    assert [(skipped.what, skipped.why) for skipped in subject.skipped] == [
        ("spare", "the network never calls it, or detaches its output")
    ]


def test_the_graph_is_traced_without_a_trace_of_it():
    subject = subject_of(ALEXNET, **BND)
    subject.model.requires_grad_(False)
    Graph(subject.model, StageContext().example)
    assert subject.model.training
    assert not any(parameter.requires_grad for parameter in subject.model.parameters())
    assert not any(module._forward_hooks for module in subject.model.modules())
