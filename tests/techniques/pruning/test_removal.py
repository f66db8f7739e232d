"""Removing filters from any architecture computes what masking them does."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning._removal import remove
from compressbench.techniques.pruning.slimming import NetworkSlimming
from tests.techniques.lending import ALEXNET, BND, PLAIN, StageContext, bare, seeded, subject_of
from tests.techniques.pruning.twins import apply_and_note, from_torchvision, halve, lived_in, mask_equivalent

STEP = TrainingConfig(epochs=1, batch_size=8, lr=0.01, optimizer="sgd", schedule="constant", weight_decay=0.0)
RESNET = "compressbench.zoo.resnet_cifar.ResNetCifar"
FROM_TORCHVISION = "compressbench.zoo.torchvision_models.torchvision_model"

NETWORKS = {
    "alexnet of the survey": (lambda: subject_of(ALEXNET, **PLAIN), 32),
    "alexnet of the survey, BND": (lambda: subject_of(ALEXNET, **BND), 32),
    "vgg16 of CIFAR, batch norm": (lambda: subject_of("compressbench.zoo.vgg_cifar.VGG16Cifar"), 32),
    "resnet56": (lambda: subject_of(RESNET, depth=56), 32),
    "resnet18": (lambda: subject_of(FROM_TORCHVISION, name="resnet18"), 32),
    "mobilenet_v2": (lambda: subject_of(FROM_TORCHVISION, name="mobilenet_v2"), 32),
    "densenet121": (lambda: subject_of(FROM_TORCHVISION, name="densenet121"), 32),
    "squeezenet1_0": (lambda: subject_of(FROM_TORCHVISION, name="squeezenet1_0"), 64),
    "regnet_x_400mf, grouped": (from_torchvision("regnet_x_400mf"), 32),
    "efficientnet_b0, gated": (from_torchvision("efficientnet_b0"), 32),
}


LARGE = ("mobilenet_v2", "densenet121", "regnet_x_400mf, grouped", "efficientnet_b0, gated")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in NETWORKS]
)
def test_masked_and_compacted_networks_agree(name):
    build, side = NETWORKS[name]
    subject, context = build(), StageContext(side=side)
    original = lived_in(subject.model).double().eval()
    context.example = context.example.double()
    images = context.images[:4].double()
    whole = copy.deepcopy(original)
    pruned, removed = apply_and_note(halve("conv", ratio=0.4), subject, context)
    masked = mask_equivalent(whole, removed)
    with torch.no_grad():
        before, expected, found = whole(images), masked(images), pruned.model.eval()(images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert (expected - before).abs().max() > 1e-3, "the channels removed made no difference, so nothing was shown"
    fewer = sum(p.numel() for p in pruned.model.parameters()) / sum(p.numel() for p in whole.parameters())
    assert fewer < 0.9


@pytest.mark.parametrize("name", ["alexnet of the survey, BND", "resnet18", "mobilenet_v2"])
def test_slimmed_networks_agree_with_their_masked_twins(name):
    build, side = NETWORKS[name]
    subject, context = build(), StageContext(side=side)
    whole = copy.deepcopy(lived_in(subject.model).double().eval())
    context.example = context.example.double()
    images = context.images[:4].double()
    pruned, removed = apply_and_note(NetworkSlimming(0.3, ["bn"], [], 1), subject, context)
    with torch.no_grad():
        torch.testing.assert_close(
            pruned.model.eval()(images), mask_equivalent(whole, removed)(images), atol=1e-5, rtol=1e-5
        )


def test_a_shift_that_is_left_behind_would_be_noticed():
    subject, context = subject_of(ALEXNET, **BND), StageContext()
    whole = copy.deepcopy(lived_in(subject.model).eval())
    pruned, removed = apply_and_note(halve("conv"), subject, context)
    only_convolutions = {where: gone for where, gone in removed.items() if where[0].startswith("conv")}
    with torch.no_grad():
        found, masked = pruned.model.eval()(context.images), mask_equivalent(whole, only_convolutions)(context.images)
    assert (found - masked).abs().max() > 1e-3


def test_a_grouped_convolution_loses_as_many_filters_in_each_group():
    model = seeded(lambda: nn.Sequential(nn.Conv2d(3, 12, 1), nn.ReLU(), nn.Conv2d(12, 8, 3, groups=4), nn.ReLU()))
    model.append(nn.Flatten()).append(nn.Linear(8 * 16, 2))
    subject, context = bare(model), StageContext(side=6, classes=2)
    whole = copy.deepcopy(model)
    pruned, removed = apply_and_note(halve("conv"), subject, context)
    assert [model[0].out_channels, model[2].in_channels, model[2].out_channels, model[2].groups] == [4, 4, 4, 4]
    assert model[2].weight.shape == (4, 1, 3, 3)
    assert sorted({channel // 3 for channel in removed["0", "out"]}) == [0, 1, 2, 3]
    with torch.no_grad():
        expected = mask_equivalent(whole, removed)(context.images)
        torch.testing.assert_close(pruned.model(context.images), expected, atol=1e-5, rtol=1e-5)


def test_a_flattened_image_loses_every_pixel_of_a_removed_channel():
    subject = halve("conv2", ratio=0.9).apply(
        subject_of("compressbench.zoo.lenet.LeNet5", 1, image_size=28), StageContext(1, 28)
    )
    assert subject.model.fc1.in_features == 5 * 16


class Sigmoid(nn.Module):
    """No ReLU: a removed channel's sigmoid would still be one half, so nothing may read it any more."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 10)

    def forward(self, images):
        return self.fc(torch.sigmoid(self.conv2(torch.sigmoid(self.conv1(images)))).mean((2, 3)))


def test_activations_that_are_not_zero_at_zero_are_no_obstacle():
    subject = halve("conv").apply(bare(seeded(Sigmoid)), StageContext())
    assert subject.model.conv2.in_channels == 4


class Shuffled(nn.Module):
    """Channels change places, unseen by the graph."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.Linear(8, 10)

    def forward(self, images):
        found = functional.relu(self.conv1(images)).roll(1, dims=1)
        return self.fc(self.conv2(found).mean((2, 3)))


def test_an_architecture_that_the_graph_misunderstands_is_refused_and_not_broken_silently():
    with pytest.raises(ValueError, match="changes what Shuffled computes"):
        halve("conv").apply(bare(seeded(Shuffled)), StageContext(side=8))


class Indexing(Shuffled):
    """Reads channels by number, those that are removed too."""

    def forward(self, images):
        return self.fc(self.conv2(self.conv1(images)[:, [7, 6, 5, 4, 3, 2, 1, 0]]).mean((2, 3)))


class Pair(Shuffled):
    """Not one tensor."""

    def forward(self, images):
        found = self.conv2(self.conv1(images)).mean((2, 3))
        return self.fc(found), found


@pytest.mark.parametrize(
    ("network", "message"),
    [(Indexing, "removing filters breaks Indexing: index 7"), (Pair, "Pair returns a tuple, not a tensor")],
)
def test_networks_that_cannot_do_without_their_filters_are_refused_in_words(network, message):
    with pytest.raises(ValueError, match=message):
        halve("conv1").apply(bare(seeded(network)), StageContext(side=8))


def test_modes_gradients_and_the_architecture_stay():
    subject, context = subject_of(ALEXNET, **BND), StageContext()
    architecture = subject.architecture
    subject.model.train()
    subject.model.bn2.eval()
    subject.model.conv3.weight.requires_grad_(False)
    statistics = subject.model.bn2.num_batches_tracked.clone()
    subject = halve("conv").apply(subject, context)
    model = subject.model
    assert model.training
    assert model.bn1.training
    assert not model.bn2.training
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["conv3.weight"]
    assert all(p.is_leaf and isinstance(p, nn.Parameter) and p.grad is None for p in model.parameters())
    assert subject.architecture is architecture
    assert torch.equal(model.bn2.num_batches_tracked, statistics)
    assert [model.conv2.in_channels, model.conv2.out_channels, model.bn2.num_features] == [32, 96, 96]
    context.train(subject, STEP)
    assert model.conv2.weight.grad.shape == (96, 32, 5, 5)


def test_nothing_to_remove_changes_nothing():
    subject = subject_of(ALEXNET, **PLAIN)
    before = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    remove(subject.model, {}, StageContext().example)
    assert all(torch.equal(tensor, before[name]) for name, tensor in subject.model.state_dict().items())
