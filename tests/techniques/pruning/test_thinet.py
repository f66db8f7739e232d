"""The channels that contribute least together go, one after the other (Luo et al. 2017)."""

import pytest
import torch

from compressbench.techniques.pruning._channels import DAMPING, Contributions, contributions
from compressbench.techniques.pruning.thinet import ThiNetPruning, greedy_order, rescaled
from tests.techniques.lending import bare
from tests.techniques.pruning.chains import chain, doubled, parts, read_of


def thinet(ratio=0.5, rescale=True, targets=("0",), examples=64) -> ThiNetPruning:
    return ThiNetPruning(list(targets), ratio, {}, [], 1, examples, rescale)


@pytest.mark.parametrize("linear", [False, True])
def test_the_gram_matrix_is_that_of_what_each_channel_contributes_alone(linear):
    model, context = chain(linear), doubled()
    found, alone = contributions(read_of(model, context), 6), parts(model, context)
    torch.testing.assert_close(found.gram, alone.T @ alone)
    torch.testing.assert_close(found.wanted, alone.T @ alone.sum(1))
    weight = model[-1].weight.detach().reshape(-1, 6, 9 if linear else 4)
    torch.testing.assert_close(found.norms, weight.square().sum((0, 2)).sqrt())


def test_each_channel_that_goes_makes_the_sum_of_those_gone_the_smallest():
    model, context = chain(), doubled()
    alone, gone = parts(model, context), []
    for _ in range(6):
        left = [channel for channel in range(6) if channel not in gone]
        gone.append(min(left, key=lambda channel: float(alone[:, [*gone, channel]].sum(1).square().sum())))
    order = greedy_order(contributions(read_of(model, context), 6), 3)
    assert order.argsort().tolist() == gone


def test_the_partner_of_a_channel_that_went_goes_next_if_the_two_cancel_out():
    """Of contributions 5, -4, 3 and 8 the smallest goes first, 3; with it -4 leaves 1, and then 5 leaves 16."""
    alone = torch.tensor([[5.0, -4.0, 3.0, 8.0]])
    gram = alone.T @ alone
    assert greedy_order(Contributions(gram, gram.sum(1), torch.ones(4)), 2).tolist() == [2.0, 1.0, 0.0, 3.0]


def test_channels_that_stay_are_rescaled_by_least_squares_but_not_far():
    model, context = chain(), doubled()
    stays = torch.tensor([True, False, True, True, False, False])
    alone = parts(model, context)
    near = (DAMPING * alone[:, stays].square().sum(0).mean()).sqrt()
    equations = torch.cat([alone[:, stays], near * torch.eye(3)])
    factors = torch.linalg.lstsq(equations, torch.cat([alone.sum(1), near.expand(3)])).solution
    weight = model[2].weight.detach().flatten(1)
    expected = (weight.reshape(4, 6, 4)[:, stays] * factors[:, None]).flatten(1)
    found = rescaled(read_of(model, context), stays).reshape(4, 6, 4)
    torch.testing.assert_close(found[:, stays].flatten(1), expected)
    assert not found[:, ~stays].any()


@pytest.mark.parametrize("rescale", [False, True])
def test_of_the_network_only_what_was_chosen_is_left(rescale):
    model, context = chain(), doubled()
    read = read_of(model, context)
    order = greedy_order(contributions(read, 6), 3)
    stays = order >= 3
    expected = (rescaled(read, stays) if rescale else read.weight).reshape(4, 6, 2, 2)[:, stays]
    filters = model[0].weight[stays].clone()
    pruned = thinet(rescale=rescale).apply(bare(model), context).model
    assert torch.equal(pruned[0].weight, filters)
    torch.testing.assert_close(pruned[2].weight.data, expected)


def test_what_a_layer_without_sums_reads_is_reported_by_type_and_refused_by_name():
    model = chain()
    model[2].padding_mode = "circular"
    subject = bare(model)
    with pytest.raises(ValueError, match="the filters of 0 cannot be chosen: 2 reads its channels, and it is no ordin"):
        thinet().apply(subject, doubled())
    thinet(targets=["conv"]).apply(subject, doubled())
    assert [skipped.what for skipped in subject.skipped] == ["2", "0"]
    assert model[0].out_channels == 6
