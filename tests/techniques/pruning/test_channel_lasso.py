"""Channels are chosen by LASSO, and what reads them is fitted again (He et al. 2017)."""

import copy

import pytest
import torch

from compressbench.techniques.pruning._channels import DAMPING, Contributions, contributions
from compressbench.techniques.pruning.channel_lasso import ChannelLassoPruning, chosen_by_lasso, reconstructed
from tests.techniques.lending import bare
from tests.techniques.pruning.chains import chain, doubled, parts, read_of


def lasso(ratio=0.5, reconstruct=True, targets=("0",), examples=64) -> ChannelLassoPruning:
    return ChannelLassoPruning(list(targets), ratio, {}, [], 1, examples, reconstruct)


def test_of_channels_that_have_nothing_in_common_those_with_the_largest_part_stay():
    """Then the factors are max(wanted - penalty, 0): at a penalty of 2, where the third falls short, 3 and 1 are left
    of 5 and 3. They stay near 1, their norm, as if a hundredth of each were wanted to be that."""
    wanted = torch.tensor([5.0, 1.0, 2.0, 3.0], dtype=torch.float64)
    scores = chosen_by_lasso(Contributions(torch.eye(4).double(), wanted, torch.ones(4).double()), 2)
    assert scores[[0, 3]].tolist() == pytest.approx([3.0 / (1 + DAMPING), 1.0 / (1 + DAMPING)])
    assert scores[[1, 2]].tolist() == [-2.0, -1.0]  # steps until they are there


def test_a_path_of_many_channels_is_followed_to_its_end():
    """One channel after the other comes, the largest first."""
    wanted = torch.arange(1.0, 521.0, dtype=torch.float64)
    ones = torch.ones(520, dtype=torch.float64)
    scores = chosen_by_lasso(Contributions(torch.eye(520, dtype=torch.float64), wanted, ones), 515)
    assert (scores > 0).nonzero().flatten().tolist() == list(range(5, 520))


@pytest.mark.parametrize("kept", [1, 2, 3, 4, 5])
def test_the_factors_are_a_lasso_of_the_outputs_with_weights_of_norm_one(kept):
    model, context = chain(), doubled()
    found = contributions(read_of(model, context), 6)
    scores = chosen_by_lasso(found, kept)
    assert int((scores > 0).sum()) == kept
    alone = parts(model, context) / found.norms
    near = (DAMPING * alone.square().sum(0).mean()).sqrt()
    equations = torch.cat([alone, near * torch.eye(6)])
    factors = torch.where(scores > 0, scores, 0)  # all of them are positive here
    correlations = equations.T @ (equations @ (found.norms - factors))
    penalty = correlations[scores > 0].mean()
    torch.testing.assert_close(correlations[scores > 0], penalty.expand(kept))
    assert bool((correlations[scores <= 0].abs() <= penalty * (1 + 1e-9)).all())


def test_the_weights_of_the_channels_that_stay_are_fitted_by_least_squares():
    model, context = chain(), doubled()
    read, stays = read_of(model, context), torch.tensor([True, False, True, True, False, True])
    found = reconstructed(read, stays).reshape(4, 6, 4)
    columns = stays.repeat_interleave(4)
    inputs = read.inputs[columns][:, columns]
    change = (found - read.weight.reshape(4, 6, 4))[:, stays].flatten(1).T
    missing = read.products[columns] - inputs @ found[:, stays].flatten(1).T  # the normal equations of least squares
    torch.testing.assert_close(missing, DAMPING * inputs.diagonal().mean() * change)
    assert not found[:, ~stays].any()


def test_a_channel_that_is_the_sum_of_two_others_can_go_without_a_trace():
    model, context = chain(), doubled()
    with torch.no_grad():
        model[0].weight.abs_()  # so that ReLU changes nothing of positive inputs
        model[0].bias.abs_()
        model[0].weight[4] = model[0].weight[1] + model[0].weight[2]
        model[0].bias[4] = model[0].bias[1] + model[0].bias[2]
        model[2].weight[:, [1, 2]] = model[2].weight[:, [4]]
    context.inputs = context.inputs.abs()
    expected = model(context.inputs).detach()
    errors = []
    for reconstruct in (True, False):
        pruned = lasso(0.16, reconstruct).apply(bare(copy.deepcopy(model)), context).model
        assert pruned[0].out_channels == 5
        errors.append(float((pruned(context.inputs) - expected).detach().abs().max()))
    assert errors[0] < errors[1] / 5  # not zero: it stays near the weights


def test_the_wanted_outputs_are_those_of_the_network_as_it_was():
    model, context = chain(), doubled()
    before = copy.deepcopy(model)
    with torch.no_grad():
        model[0].weight.mul_(0.5)
        model[0].bias.mul_(0.5)
    read = read_of(model, context, before)
    weight = before[2].weight.detach().flatten(1)
    torch.testing.assert_close(read.products, read.inputs @ (2 * weight).T)
    assert (reconstructed(read, torch.ones(6, dtype=torch.bool)) - 2 * weight).norm() < 0.2 * weight.norm()


def test_no_examples_are_refused():
    with pytest.raises(ValueError, match="examples is 0; allowed: 1 or more"):
        lasso(examples=0)
