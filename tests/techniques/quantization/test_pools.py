"""Pools in front of batch norm."""

import torch

from compressbench.techniques.quantization._pools import move_pools
from tests.techniques.lending import ALEXNET, BND, PLAIN, subject_of


def test_with_positive_scales_both_orders_are_the_same_function():
    subject = subject_of(ALEXNET, **BND)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for module in subject.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(generator=torch.Generator().manual_seed(1))
    before = subject.model.eval()(images)
    moved = move_pools(subject)
    assert list(moved.model._modules)[:4] == ["conv1", "pool1", "bn1", "relu1"]
    assert moved.architecture.arguments["pool_first"] is True
    torch.testing.assert_close(moved.model.eval()(images), before)
    assert moved.skipped == []


def test_a_network_that_cannot_be_built_so_stays_and_the_record_says_it():
    subject = subject_of("compressbench.zoo.lenet.LeNet5", in_channels=1, image_size=28)
    model = subject.model
    assert move_pools(subject).model is model
    assert [skipped.what for skipped in subject.skipped] == ["pools"]


def test_a_network_that_an_earlier_stage_changed_stays_too():
    subject = subject_of(ALEXNET, **BND)
    subject.model.set_submodule("fc3", torch.nn.Linear(512, 3))
    model = subject.model
    assert move_pools(subject).model is model
    assert "an earlier stage changed the network" in subject.skipped[0].why


def test_a_network_without_batch_norm_gets_it_where_it_can_be_built_with_it():
    subject = subject_of(ALEXNET, **PLAIN)
    weights = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    moved = move_pools(subject)
    assert list(moved.model._modules)[:4] == ["conv1", "pool1", "bn1", "relu1"]
    state = moved.model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in weights.items())
    assert {name.split(".")[0] for name in state.keys() - weights.keys()} == {f"bn{number}" for number in range(1, 6)}
