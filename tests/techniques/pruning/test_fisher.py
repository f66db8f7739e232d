"""Filters go by the Fisher information (Theis et al. 2018)."""

import torch

from compressbench.techniques.pruning.fisher import FisherPruning, information
from tests.techniques.lending import StageContext, bare
from tests.techniques.pruning.gated import BATCHES, with_useless_filters


def test_fisher_is_half_the_mean_square_of_the_sums_of_examples():
    assert information(iter(BATCHES))["a"].tolist() == [26 / 8, 6 / 8]


def test_filters_that_nothing_reads_go_first_whatever_their_weights():
    model, stays = with_useless_filters()
    pruned = (
        FisherPruning(["conv"], 0.5, {}, [], 1, "global", 16, 1, None).apply(bare(model), StageContext(side=8)).model
    )
    assert torch.equal(pruned.conv1.weight, stays)
    assert pruned.conv2.out_channels == 2
