"""Shared values move by the sum of their weights' gradients, and stay shared."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from compressbench.core.constraint import Shared
from compressbench.techniques.sharing.kmeans import SharedWeights
from compressbench.techniques.sharing.retrain_centroids import RetrainCentroids, summing
from tests.techniques.lending import StageContext, bare, seeded, subject_of, trained_by

SETTINGS = {"epochs": 1, "batch_size": 8, "optimizer": "sgd", "schedule": "constant", "weight_decay": 0.0}
RETRAIN = trained_by(RetrainCentroids, lr=0.001, others=True, centroid_precision="fp32", **SETTINGS)


def shared_lenet(bits: int = 2, bias_bits: int | None = None):
    subject = subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)
    share = SharedWeights(["linear"], [], bits, {}, "optimal", 20, bias_bits, "fp32")
    return share.apply(subject, context())


def context() -> StageContext:
    return StageContext(channels=1, side=8)


def test_the_gradient_of_a_shared_value_is_the_sum_of_its_weights_gradients():
    """Groups 0 = {1, 4}, 1 = {2, 8, 32}; 16 belongs to none and keeps its own."""
    layer = nn.Linear(3, 2, bias=False)
    layer.weight.grad = torch.tensor([[1.0, 2, 4], [8, 16, 32]])
    assignment = torch.tensor([[0, 1, 0], [1, -1, 1]], dtype=torch.int16)
    summing([Shared("weight", assignment)]).after_backward(layer)
    assert layer.weight.grad.tolist() == [[5, 42, 5], [42, 16, 42]]


def test_gradients_of_kernels_are_summed_in_any_memory_layout():
    """A kernel of two input channels, 2 x 2: the first channel is group 0, the second group 1."""
    layer = nn.Conv2d(2, 1, 2, bias=False)
    layer.weight.grad = torch.arange(8.0).view(1, 2, 2, 2).contiguous(memory_format=torch.channels_last)
    summing(
        [Shared("weight", torch.tensor([0, 1], dtype=torch.int16).view(1, 2, 1, 1).expand(1, 2, 2, 2))]
    ).after_backward(layer)
    assert layer.weight.grad.flatten().tolist() == [6, 6, 6, 6, 22, 22, 22, 22]


def test_a_step_moves_a_shared_value_as_the_paper_says():
    """One weight value c = 0.5 for x = (1, 2), loss = y summed: dL/dc = 1 + 2 = 3 for one image, so c - 0.1 * 3."""

    class OneStep(StageContext):
        def train(self, subject, training, objective=None, hooks=()):
            subject.model(torch.tensor([[1.0, 2.0]])).sum().backward()
            hooks[0].after_backward(subject.model)
            with torch.no_grad():
                subject.model[0].weight -= training.lr * subject.model[0].weight.grad
            subject.enforce()
            return subject

    subject = bare(nn.Sequential(nn.Linear(2, 1, bias=False)))
    nn.init.constant_(subject.model[0].weight, 0.5)
    subject.constraints.append(Shared("0.weight", torch.zeros(1, 2, dtype=torch.int16)))
    subject = replace(RETRAIN, training=replace(RETRAIN.training, lr=0.1)).apply(subject, OneStep())
    assert subject.model[0].weight.flatten().tolist() == pytest.approx([0.2, 0.2])


def test_shared_values_change_and_who_shares_them_does_not():
    subject = shared_lenet()
    before = subject.model.fc1.weight.detach().clone()
    subject = RETRAIN.apply(subject, context())
    after = subject.model.fc1.weight
    assert not torch.equal(after, before)
    assert len(after.unique()) == 4
    for value in before.unique():
        assert len(after[before == value].unique()) == 1
    assert all(constraint.holds(subject.model) for constraint in subject.constraints)


def small() -> nn.Module:
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)
    return nn.Sequential(*layers)


@pytest.mark.parametrize("others", [True, False])
def test_what_is_not_shared_is_trained_only_if_asked_for(others):
    lent = StageContext(side=8)
    subject = SharedWeights(["conv"], [], 4, {}, "optimal", 5, None, "fp32").apply(bare(seeded(small)), lent)
    before = {name: parameter.detach().clone() for name, parameter in subject.model.named_parameters()}
    subject = replace(RETRAIN, others=others).apply(subject, lent)
    moved = {name for name, parameter in subject.model.named_parameters() if not torch.equal(parameter, before[name])}
    assert "0.weight" in moved
    assert ("5.weight" in moved) == ("1.weight" in moved) == others
    assert all(parameter.requires_grad for parameter in subject.model.parameters())


@pytest.mark.parametrize("others", [True, False])
def test_what_was_frozen_before_is_frozen_afterwards(others):
    lent = StageContext(side=8)
    subject = SharedWeights(["conv"], [], 4, {}, "optimal", 5, None, "fp32").apply(bare(seeded(small)), lent)
    subject.model[1].requires_grad_(False)
    subject = replace(RETRAIN, others=others).apply(subject, lent)
    frozen = {name for name, parameter in subject.model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"1.weight", "1.bias"}


def test_half_precision_values_are_so_again_after_the_training():
    subject = replace(RETRAIN, centroid_precision="fp16").apply(shared_lenet(bias_bits=3), context())
    for tensor in (subject.model.fc1.weight, subject.model.fc2.bias):
        assert torch.equal(tensor, tensor.half().float())
    assert all(constraint.holds(subject.model) for constraint in subject.constraints)


def test_a_network_without_shared_weights_is_refused():
    with pytest.raises(ValueError, match="no shared weights; share them first"):
        RETRAIN.apply(subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8), context())


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="centroid_precision is 'fp8'"):
        replace(RETRAIN, centroid_precision="fp8")
