"""Constraints after every step."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from compressbench.core.constraint import Mask
from compressbench.training.enforcement import Enforcement


@pytest.fixture
def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 10))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_masks_give_the_same_bits_as_enforcing_each(model: nn.Sequential, layout: torch.memory_format) -> None:
    masks = [Mask(name, torch.rand_like(weight) > 0.5) for name, weight in model.named_parameters()]
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    model.to(memory_format=layout)  # type: ignore[call-overload]
    Enforcement(model, masks).enforce()
    for mask in masks:
        assert torch.equal(model.get_parameter(mask.parameter), before[mask.parameter] * mask.keep)


def test_two_masks_of_one_parameter_both_hold(model: nn.Sequential) -> None:
    even, low = torch.arange(80).view(10, 8) % 2 == 0, torch.arange(80).view(10, 8) < 40
    Enforcement(model, [Mask("2.weight", even), Mask("2.weight", low)]).enforce()
    assert torch.equal(model.get_parameter("2.weight") != 0, even & low)


def test_a_mask_written_into_or_replaced_is_noticed(model: nn.Sequential) -> None:
    mask = Mask("2.weight", torch.ones(10, 8, dtype=torch.bool))
    promises = Enforcement(model, [mask])
    promises.enforce()
    mask.keep[0] = False
    promises.enforce()
    assert not model.get_parameter("2.weight")[0].any()
    mask.keep = torch.zeros(10, 8, dtype=torch.bool)
    promises.enforce()
    assert not model.get_parameter("2.weight").any()


@pytest.mark.parametrize(("name", "has"), [("1.weight", "no such parameter"), ("2.bias", r"\[10\]")])
def test_a_mask_that_fits_no_parameter_is_refused_in_words(model: nn.Sequential, name: str, has: str) -> None:
    with pytest.raises(ValueError, match=rf"a mask of shape \[10, 8\] is promised for '{name}'; the network has {has}"):
        Enforcement(model, [Mask(name, torch.ones(10, 8, dtype=torch.bool))])


@dataclass(eq=False)
class Tied:
    """The first two rows of a layer are the same."""

    parameter: str

    @torch.no_grad()
    def enforce(self, model: nn.Module) -> None:
        weight = model.get_parameter(self.parameter)
        weight[1] = weight[0]

    def holds(self, model: nn.Module) -> bool:
        weight = model.get_parameter(self.parameter)
        return torch.equal(weight[0], weight[1])


def test_other_constraints_are_enforced_after_the_masks(model: nn.Sequential) -> None:
    keep = torch.ones(10, 8, dtype=torch.bool)
    keep[0, :4] = False
    promises = [Mask("2.weight", keep), Tied("2.weight")]
    Enforcement(model, promises).enforce()
    assert all(promise.holds(model) for promise in promises)
