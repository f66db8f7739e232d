"""Whole filters and channels are pulled to zero, and go (Wen et al. 2016)."""

import pytest
import torch
from torch import nn

from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning._groups import Graph
from compressbench.techniques.pruning._readers import readers
from compressbench.techniques.pruning.group_lasso import GroupLassoPruning, pull_to_zero
from tests.techniques.lending import StageContext, bare, seeded
from tests.techniques.pruning.training_for_real import FIELDS, RealContext


def network() -> nn.Sequential:
    """A convolution of 4 filters that a linear layer reads, 36 places each."""
    return seeded(lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)))


def lasso(filter_penalty=0.0, channel_penalty=0.0, threshold=0.1, epochs=0, targets=("conv",)) -> GroupLassoPruning:
    training = TrainingConfig(**{**FIELDS, "epochs": epochs})
    return GroupLassoPruning(training, list(targets), [], filter_penalty, channel_penalty, threshold, 1)


def read(model: nn.Module, context: StageContext, *names: str):
    return [(group, readers(model, group)) for group in Graph(model, context.example).groups(list(names))]


def test_what_is_added_is_the_gradient_of_the_penalty():
    model = network()
    pulled = read(model, StageContext(channels=1, side=8), "0")
    conv, linear = model[0].weight, model[3].weight
    channels = linear.unflatten(1, (4, 36)).square().sum((0, 2)).sqrt()
    penalty = 0.3 * conv.flatten(1).square().sum(1).sqrt().sum() + 0.2 * channels.sum()
    expected = torch.autograd.grad(penalty, [conv, linear])
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    pull_to_zero(model, pulled, 0.3, 0.2)
    torch.testing.assert_close([conv.grad, linear.grad], list(expected))
    assert not model[0].bias.grad.any()


def test_the_network_may_be_trained_on_another_device():
    model = network()
    pulled = read(model, StageContext(channels=1, side=8), "0")
    model.to("meta")
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    pull_to_zero(model, pulled, 0.3, 0.2)  # of the devices that every machine has, the other one
    assert model[3].weight.grad.is_meta


def test_filters_that_are_added_to_each_other_have_one_norm():
    class Added(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right, self.read = nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 1), nn.Conv2d(2, 3, 1)

        def forward(self, images):
            return self.read(self.left(images) + self.right(images))

    model = Added()
    with torch.no_grad():
        model.left.weight[:] = torch.tensor([3.0, 0.0])[:, None, None, None]
        model.right.weight[:] = torch.tensor([4.0, 0.0])[:, None, None, None]
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    pull_to_zero(model, read(model, StageContext(channels=1, side=2), "left"), 1.0, 0.0)
    assert model.left.weight.grad.flatten().tolist() == pytest.approx([0.6, 0.0])  # 3 of a norm of 5; zero stays
    assert model.right.weight.grad.flatten().tolist() == pytest.approx([0.8, 0.0])
    assert not model.read.weight.grad.any()


def test_a_filter_goes_if_its_norm_or_its_channels_is_a_small_fraction_of_the_largest():
    model = network()
    with torch.no_grad():
        model[0].weight[1] *= 1e-3
        model[3].weight[:, 72:108] *= 1e-3  # of filter 2
        stays = model[0].weight[[0, 3]].clone()
    pruned = lasso(threshold=0.1).apply(bare(model), RealContext())
    assert torch.equal(pruned.model[0].weight, stays)
    assert pruned.model[3].in_features == 72


def test_a_layer_is_never_emptied_and_that_is_reported():
    subject = lasso(threshold=1.0).apply(bare(network()), RealContext())
    assert subject.model[0].out_channels == 1
    assert "never emptied" in subject.skipped[0].why


def test_a_strong_pull_leaves_fewer_filters_than_none():
    kept = [
        lasso(penalty, penalty, epochs=4).apply(bare(network()), RealContext()).model[0].out_channels
        for penalty in (0.0, 0.5)
    ]
    assert kept[0] == 4 > kept[1]


@pytest.mark.parametrize("field", ["filter_penalty", "channel_penalty", "threshold"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_number_out_of_range_is_refused(field, value):
    with pytest.raises(ValueError, match=rf"{field} is .*; allowed: "):
        lasso(**{field: value})
