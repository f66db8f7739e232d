"""Filters that the others of a layer can replace go (He et al. 2019)."""

import pytest
import torch
from torch import nn

from compressbench.techniques.pruning._criteria import distances, l2_norms
from compressbench.techniques.pruning.fpgm import FPGMPruning
from tests.techniques.lending import StageContext, bare, seeded


def network(filters: list[list[float]]) -> nn.Sequential:
    """Two 1 x 1 convolutions, the first with these filters."""
    model = seeded(lambda: nn.Sequential(nn.Conv2d(len(filters[0]), len(filters), 1), nn.Conv2d(len(filters), 3, 1)))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor(filters)[:, :, None, None])
    return model


def kept(filters: list[list[float]], ratio: float, norm_rate: float = 0.0) -> list[list[float]]:
    subject = bare(network(filters))
    context = StageContext(channels=len(filters[0]), side=2)
    return FPGMPruning(["0"], ratio, {}, [], 1, norm_rate).apply(subject, context).model[0].weight.flatten(1).tolist()


LINE = [[0.0, 0.0], [10.0, 0.0], [11.0, 0.0], [12.0, 0.0], [20.0, 0.0]]
"""Sums of distances 53, 23, 22, 23, 47: the middle one is the median, though its norm is not the smallest."""


def test_the_filter_with_the_least_sum_of_distances_goes_whatever_its_norm():
    everyone = torch.ones(5, dtype=torch.bool)
    assert distances(network(LINE)[0], everyone).tolist() == [53.0, 23.0, 22.0, 23.0, 47.0]
    assert kept(LINE, 0.2) == [LINE[0], LINE[1], LINE[3], LINE[4]]
    assert kept(LINE, 0.6) == [LINE[0], LINE[4]]


def test_a_share_can_go_by_the_smallest_norm_first():
    """Of two that go one is the smallest; the distances of the other are among the four that are left."""
    assert l2_norms(network(LINE)[0]).argmin() == 0
    assert kept(LINE, 0.4) == [LINE[0], LINE[3], LINE[4]]
    assert kept(LINE, 0.4, norm_rate=0.5) == [LINE[1], LINE[3], LINE[4]]  # sums of the four: 13 [11] 11 27
    assert kept(LINE, 0.4, norm_rate=1.0) == LINE[2:]


@pytest.mark.parametrize("norm_rate", [-0.1, 1.1, float("nan")])
def test_a_share_out_of_range_is_refused(norm_rate):
    with pytest.raises(ValueError, match=r"norm_rate is .*; allowed: a fraction from 0 to 1"):
        FPGMPruning(["conv"], 0.5, {}, [], 1, norm_rate)
