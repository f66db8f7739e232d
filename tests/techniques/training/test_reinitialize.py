"""Training a pruned architecture from new weights, as long as the work it saved allows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.constraint import Mask
from compressbench.techniques.training._scratch_budget import macs
from compressbench.techniques.training.reinitialize import Reinitialize, reset
from tests.techniques.lending import BND, PLAIN, StageContext, bare, seeded, subject_of, trained_by
from tests.techniques.training.test_from_scratch import FIELDS

ALEXNET = "compressbench.zoo.alexnet.AlexNet"
OURS: dict[str, Any] = {"budget": "epochs", "init": "torch", "scale_init": None}
STILL: dict[str, Any] = {**FIELDS, **OURS, "lr": 1e-12}
"""Trains so slowly that the weights after it are those before it."""


def test_the_macs_of_the_survey_are_counted() -> None:
    # survey/NOTES: conv 14,954,496 + fc 398,336.
    assert macs(subject_of(ALEXNET, **PLAIN).model, torch.zeros(1, 3, 32, 32)) == 15_352_832


def test_grouped_convolutions_and_zero_weights_count_what_they_do() -> None:
    model = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2, padding=1), nn.Flatten(), nn.Linear(24, 10))
    # 2 x 2 positions x 6 filters x (2 inputs x 9 weights), and 24 x 10.
    assert macs(model, torch.zeros(1, 4, 2, 2)) == 432 + 240
    with torch.no_grad():
        model.get_parameter("0.weight")[:3] = 0
    assert macs(model, torch.zeros(1, 4, 2, 2)) == 216 + 240


@pytest.mark.parametrize(("budget", "width", "epochs"), [("epochs", 2, 10), ("macs", 6, 13), ("macs", 2, 20)])
def test_scratch_b_trains_longer_by_the_work_saved_at_most_twice(budget: str, width: int, epochs: int) -> None:
    context = StageContext(side=1)

    def network(width: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(3, width), nn.Linear(width, 10))

    # 13 multiply-accumulates a hidden unit: 8 units are 104, 6 are 78 (4/3 of 10 epochs are 13), 2 are 26.
    context.stages["start"] = bare(network(8))
    trained_by(Reinitialize, **{**FIELDS, **OURS, "epochs": 10, "budget": budget}).apply(bare(network(width)), context)
    assert [training.epochs for training in context.trained] == [epochs]


def test_random_replaces_every_weight_and_keeps_masks() -> None:
    subject = subject_of(ALEXNET, **BND)
    with torch.no_grad():
        for tensor in subject.model.state_dict().values():
            tensor.fill_(7)
    keep = torch.arange(512).view(1, -1).expand(10, 512) % 2 == 0
    subject.constraints.append(Mask("fc3.weight", keep))
    reset(subject.model, torch.Generator().manual_seed(0), "torch", None)
    assert not any((tensor == 7).any() for tensor in subject.model.state_dict().values())
    assert subject.model.get_parameter("bn1.weight").eq(1).all()
    assert subject.model.get_buffer("bn1.running_mean").eq(0).all()
    result = trained_by(Reinitialize, **STILL).apply(subject, StageContext())
    assert torch.equal(result.model.get_parameter("fc3.weight") != 0, keep)


def test_random_draws_from_the_stage_alone() -> None:
    before = torch.random.get_rng_state()
    weights = []
    for seed in (1, 1, 2):
        subject = trained_by(Reinitialize, **STILL).apply(subject_of(ALEXNET, **PLAIN), StageContext(seed=seed))
        weights.append(subject.model.get_parameter("conv1.weight").detach())
    assert torch.allclose(weights[0], weights[1])
    assert not torch.allclose(weights[0], weights[2])
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(("scale_init", "scale"), [(None, 0.5), (1.0, 1.0)])
def test_he_draws_convolutions_by_their_filters_and_a_scale_that_is_given_wins(
    scale_init: float | None, scale: float
) -> None:
    subject = subject_of(ALEXNET, **BND)
    reset(subject.model, torch.Generator().manual_seed(0), "he_fan_out", scale_init)
    weight = subject.model.get_parameter("conv2.weight")
    assert float(weight.detach().std()) == pytest.approx((2 / (25 * 192)) ** 0.5, rel=0.01)
    assert subject.model.get_parameter("conv2.bias").eq(0).all()
    assert subject.model.get_parameter("bn2.weight").eq(scale).all()
    assert subject.model.get_buffer("bn2.running_mean").eq(0).all()


def test_layers_that_cannot_be_reset_are_named() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

    model = seeded(lambda: nn.Sequential(nn.Linear(3, 3), Own()))
    with pytest.raises(ValueError, match=r"cannot be re-initialised: 1$"):
        reset(model, torch.Generator(), "torch", None)


@pytest.mark.parametrize(
    ("key", "value"),
    [("budget", "mac"), ("init", "hee"), ("scale_init", -1.0), ("scale_init", float("inf")), ("lr", 0.0)],
)
def test_values_out_of_range_are_named(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{key} is {value!r}; (allowed|did you mean)"):
        trained_by(Reinitialize, **{**FIELDS, **OURS, key: value})
