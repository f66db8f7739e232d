"""Random filters: the counts of the criterion, the choice of the generator."""

import torch
from torch import nn

from compressbench.techniques.pruning.l1_norm import L1NormPruning
from compressbench.techniques.pruning.random_filters import RandomFilterPruning
from tests.techniques.lending import ALEXNET, BND, StageContext, bare, subject_of

FIELDS = (["conv"], 0.6, {"conv2": 0.3}, ["conv1"], 8)


def pruned(technique, seed: int = 0):
    return technique.apply(subject_of(ALEXNET, **BND), StageContext(seed=seed)).model


def test_it_removes_as_many_filters_as_the_criterion_it_controls():
    by_chance, by_norm = pruned(RandomFilterPruning(*FIELDS)), pruned(L1NormPruning(*FIELDS))
    shapes = [tensor.shape for tensor in by_norm.state_dict().values()]
    assert [tensor.shape for tensor in by_chance.state_dict().values()] == shapes


def test_the_seed_of_the_stage_decides_which():
    first, again, other = (pruned(RandomFilterPruning(*FIELDS), seed) for seed in (0, 0, 1))
    assert torch.equal(first.conv2.weight, again.conv2.weight)
    assert not torch.equal(first.conv2.weight, other.conv2.weight)


def test_every_filter_has_the_same_chance():
    kept = torch.zeros(16)
    for seed in range(100):
        model = nn.Sequential(nn.Conv2d(1, 16, 1), nn.Flatten(), nn.Linear(16, 2))
        with torch.no_grad():
            model[0].bias.copy_(torch.arange(16))  # names the filters
        RandomFilterPruning(["conv"], 0.5, {}, [], 1).apply(bare(model), StageContext(1, 1, seed=seed))
        kept[model[0].bias.long()] += 1
    assert kept.min() >= 30  # of 100, expected 50, standard deviation 5
    assert kept.max() <= 70
