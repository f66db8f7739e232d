"""Wanda: magnitude times the norm of the input, row by row (Sun et al. 2024)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.format import NOfM, Sparse
from compressbench.techniques.pruning.wanda import WandaPruning
from tests.techniques.lending import StageContext, bare, seeded, subject_of


def wanda(**fields: Any) -> WandaPruning:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "ratio": 0.5, "ratios": {}, "pattern": None}
    return WandaPruning(**{**own, "examples": 2, **fields})


class Given(StageContext):
    """Two images of 1 x 2 x 2 whose pixels have the norms 5, 1, 2 and 0."""

    def calibration(self, batch_size: int, batches: int) -> Iterator[tuple[Tensor, Tensor]]:
        images = torch.tensor([[3.0, 1, 0, 0], [4, 0, 2, 0]]).view(2, 1, 2, 2)
        return iter([(images[:1], torch.zeros(1)), (images[1:], torch.zeros(1))])


def test_a_layer_by_hand() -> None:
    """Scores of the first row: 5, 4, 2, 0; of the second: 0.5, 1, 4, 0."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1, -4, 1, 9], [-0.1, 1, 2, 9]]))
    subject = wanda().apply(bare(model), Given(1, 2))
    assert subject.model.get_parameter("1.weight").tolist() == [[1, -4, 0, 0], [0, 1, 2, 0]]
    assert subject.formats == {"1.weight": Sparse()}


def test_every_row_keeps_as_many_though_one_is_small() -> None:
    subject = subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)
    with torch.no_grad():
        subject.model.get_parameter("fc2.weight")[:50].mul_(1e-6)
    weight = wanda(ratio=0.9).apply(subject, StageContext(1, 8)).model.get_parameter("fc2.weight")
    assert (weight.ne(0).sum(1) == 30).all()


def test_inputs_come_through_what_is_pruned_so_far() -> None:
    """The second unit is 0 for both images until only its first weight is left: then it has the norm 5, too."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1, 0, 0, 0], [1, -3, -2, 0]]))
        model[2].weight.copy_(torch.tensor([[1, 2]]))
    alone = wanda(targets=["2"]).apply(bare(copy.deepcopy(model)), Given(1, 2))
    assert alone.model.get_parameter("2.weight").tolist() == [[1, 0]]
    both = wanda(ratios={"1": 0.75}).apply(bare(model), Given(1, 2))
    assert both.model.get_parameter("1.weight").tolist() == [[1, 0, 0, 0], [1, 0, 0, 0]]
    assert both.model.get_parameter("2.weight").tolist() == [[0, 2]]


def test_groups_of_a_convolution_have_inputs_of_their_own() -> None:
    """Channels 0 and 3 are large: of the first group the first weight stays, of the second the second."""
    model = seeded(lambda: nn.Sequential(nn.Conv2d(1, 4, 1, bias=False), nn.Conv2d(4, 2, 1, groups=2, bias=False)))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([9.0, 1, 1, 9]).view(4, 1, 1, 1))
        model[1].weight.copy_(torch.tensor([[1.0, 2], [1, 2]]).view(2, 2, 1, 1))
    subject = wanda(targets=["1"]).apply(bare(model), Given(1, 2))
    assert subject.model.get_parameter("1.weight").flatten(1).tolist() == [[1, 0], [0, 2]]


def test_two_of_four_stay() -> None:
    subject = subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)
    subject = wanda(pattern="2:4").apply(subject, StageContext(1, 8))
    assert subject.formats["fc2.weight"] == NOfM(2, 4)
    assert (subject.model.get_parameter("fc2.weight").view(-1, 4).ne(0).sum(1) == 2).all()
    blocks = wanda(pattern="5x4").apply(
        subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8), StageContext(1, 8)
    )
    there = blocks.model.get_parameter("fc3.weight").view(2, 5, 25, 4).ne(0).all(3).all(1)
    assert sorted(there.sum(1).tolist()) == [12, 13]


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="examples is 0; allowed: 1 or more"):
        wanda(examples=0)
