"""The rank of responses, without and with the ReLU that takes them."""

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.subject import Subject
from compressbench.techniques.lowrank.nonlinear_response import (
    NonlinearResponse,
    before_relu,
    regression,
    stand_in,
)
from tests.techniques.lending import StageContext, bare, seeded


def response(*targets: str, nonlinear=True, asymmetric=True, rank=None, energy=None, ratio=0.5) -> NonlinearResponse:
    return NonlinearResponse(list(targets), [], nonlinear, asymmetric, rank, energy, ratio, {}, 64, 20, 15)


def network() -> Subject:
    """Two convolutions before a ReLU, one before a pool, and a linear layer."""
    return bare(
        seeded(
            lambda: nn.Sequential(
                nn.Conv2d(3, 10, 3),
                nn.ReLU(inplace=True),
                nn.Conv2d(10, 12, 3),
                nn.MaxPool2d(2),
                nn.Conv2d(12, 8, 3, groups=2),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(8, 10),
            )
        ).eval()
    )


def responses() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(8, 8, generator=generator) * torch.linspace(0.2, 2, 8)
    return (torch.randn(300, 8, generator=generator) @ mixed + 0.3).double()


def test_without_a_relu_the_error_is_the_variance_that_is_discarded():
    """Section 2.1: principal components of the responses."""
    y = responses()
    found = regression(y, y, 3)
    spread = torch.linalg.svdvals(y - y.mean(0))[3:].square().sum()
    assert (y - found.of(y)).square().sum().item() == pytest.approx(spread.item(), rel=1e-4)


def test_from_other_inputs_the_plain_regression_is_found_at_full_rank():
    y = responses()
    given = y + 0.1 * y.roll(1, 0)
    found = regression(given, y, 8)
    ones = torch.cat([given, torch.ones(len(given), 1)], 1)
    plain = ones @ torch.linalg.lstsq(ones, y).solution
    assert (found.of(given) - plain).norm().item() < 1e-4 * plain.norm().item()


def test_the_stand_in_is_better_than_every_point_of_a_grid():
    generator = torch.Generator().manual_seed(0)
    aims, predicted = (2 * torch.randn(50, generator=generator) for _ in range(2))
    grid = torch.linspace(-8, 8, 3201)[:, None]
    for penalty in (0.01, 1.0, 10.0):

        def loss(z: Tensor, penalty: float = penalty) -> Tensor:
            return (aims.relu() - z.relu()).square() + penalty * (z - predicted).square()

        best = loss(grid).amin(0)
        assert bool((loss(stand_in(aims, predicted, penalty)) <= best + 1e-6).all())


def test_with_the_relu_considered_less_of_what_it_gives_is_lost():
    context, layer = StageContext(side=16), network().model[0]
    lost = {}
    for nonlinear in (False, True):
        made = response("0", nonlinear=nonlinear, rank=3).apply(network(), context).model[0]
        with torch.no_grad():
            lost[nonlinear] = (layer(context.images).relu() - made(context.images).relu()).square().mean().item()
    assert lost[True] < 0.97 * lost[False]


def test_only_what_a_relu_takes_is_solved_with_one():
    context = StageContext(side=16)
    assert before_relu(network().model, ["0", "2", "7"], context) == {"0"}


def test_layers_make_up_for_those_before_them():
    """Asymmetric: the second layer sees what the first one lost."""
    context = StageContext(side=16)
    with torch.no_grad():
        aims = network().model[:3](context.images)
        lost = {}
        for asymmetric in (False, True):
            made = response("0", "2", rank=5, asymmetric=asymmetric).apply(network(), context).model
            lost[asymmetric] = (made[:3](context.images) - aims).square().mean().item()
    assert lost[True] < lost[False]


def test_at_full_rank_the_network_computes_what_it_did(monkeypatch):
    monkeypatch.setattr("compressbench.techniques.lowrank.nonlinear_response.grows", lambda *given: "")
    context = StageContext(side=16)
    made = response("7", energy=1.0).apply(network(), context)
    with torch.no_grad():
        assert torch.allclose(made.model(context.images), network().model(context.images), atol=1e-3)


def test_the_energy_that_stays_decides_the_rank_and_groups_are_said():
    made = response("conv", energy=0.7).apply(network(), StageContext(side=16))
    assert [(each.what, each.why) for each in made.skipped] == [("4", "it is a convolution in groups")]
    assert made.model[0].expand.in_channels < 7
    assert made.model[0].reduce.kernel_size == (3, 3)
