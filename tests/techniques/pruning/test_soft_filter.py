"""Filters are zero after every epoch, may come back, and go at the end (He et al. 2018)."""

import pytest
import torch
from torch import nn

from compressbench.core.errors import RunError
from compressbench.core.objective import Hook
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning.soft_filter import SoftFilterPruning
from tests.techniques.lending import bare, seeded
from tests.techniques.pruning.training_for_real import FIELDS, RealContext

EPOCH = 10
"""Steps."""


def network() -> nn.Sequential:
    return seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10)
        )
    )


def soft(ratio=0.5, criterion="l2", epochs=3, **fields) -> SoftFilterPruning:
    training = TrainingConfig(**{**FIELDS, "epochs": epochs, **fields})
    return SoftFilterPruning(training, ["conv"], ratio, {}, [], 1, criterion)


class Watching(RealContext):
    """Notes after every step which filters of the first layer are zero, and what the network computes at the end."""

    def train(self, subject, training, objective=None, hooks=()):
        self.zeros = []
        (hook,) = hooks

        def watch(model):
            hook.after_step(model)
            self.zeros.append([i for i in range(6) if not model[0].weight[i].any() and not model[0].bias[i]])

        trained = super().train(subject, training, hooks=[Hook(after_step=watch)])
        self.outputs = trained.model(self.images).detach()
        return trained


def test_half_of_the_filters_are_zero_after_each_epoch_and_trained_in_between():
    context = Watching()
    pruned = soft().apply(bare(network()), context).model
    assert [len(zeros) for zeros in context.zeros] == ([0] * (EPOCH - 1) + [3]) * 3
    assert [pruned[0].out_channels, pruned[2].out_channels, pruned[5].in_features] == [3, 4, 64]


@pytest.mark.parametrize("criterion", ["l2", "l1", "geometric_median"])
def test_what_is_zero_after_the_last_epoch_goes_and_nothing_else(criterion):
    context = Watching()
    pruned = soft(criterion=criterion, epochs=1).apply(bare(network()), context).model
    torch.testing.assert_close(pruned(context.images), context.outputs)


def test_a_training_that_goes_on_sets_to_zero_after_the_same_steps(tmp_path):
    whole = soft().apply(bare(network()), RealContext()).model
    with pytest.raises(RunError, match="used up after epoch 1"):
        soft().apply(bare(network()), RealContext(tmp_path / "state", late=True))
    context = Watching(tmp_path / "state")
    resumed = soft().apply(bare(network()), context).model
    assert len(context.zeros) == 2 * EPOCH
    assert torch.equal(resumed[0].weight, whole[0].weight)


def test_without_an_epoch_the_smallest_filters_go():
    model = network()
    stays = model[0].weight[model[0].weight.flatten(1).norm(dim=1).argsort()[3:].sort().values].clone()
    assert torch.equal(soft(epochs=0).apply(bare(model), RealContext()).model[0].weight, stays)


def test_an_unknown_criterion_is_refused():
    with pytest.raises(ValueError, match="criterion is 'l3'; allowed: geometric_median, l1, l2"):
        soft(criterion="l3")
