"""Optimal Brain Surgeon: exact on layers small enough to try everything (Hassibi and Stork 1993)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.format import NOfM
from compressbench.techniques.pruning import obs
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.pruning.obs import OptimalBrainSurgeon, refitted, removals
from tests.techniques.lending import StageContext, bare, seeded
from tests.techniques.pruning.test_sparsegpt import Correlated, apart, best, error, lenet, problem
from tests.techniques.quantization.learned import DigitsContext, accuracy, learned


def surgeon(**fields: Any) -> OptimalBrainSurgeon:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "ratio": 0.5, "ratios": {}, "pattern": None}
    return OptimalBrainSurgeon(**{**own, "block_columns": 64, "damping": 1e-4, "examples": 64, **fields})


def lowest(row: Tensor, hessian: Tensor, kept: tuple[int, ...]) -> tuple[int, float]:
    """Return which of the kept weights costs least beside those already gone, all tried, and the error then."""
    every = [(error((best(row, hessian, tuple(k for k in kept if k != q)) - row)[None], hessian), q) for q in kept]
    return min(every)[1], min(every)[0]


def test_every_step_is_the_best_there_is_and_its_cost_the_rise_of_the_error() -> None:
    """Half the squared error, of which H is the second derivative."""
    weight, hessian = problem(3, 6)
    costs, places = removals(weight, hessian, torch.ones_like(weight, dtype=torch.bool), None)
    for row in range(3):
        kept: tuple[int, ...] = tuple(range(6))
        for step in range(6):
            place, risen = lowest(weight[row], hessian, kept)
            assert int(places[row, step]) == place
            assert float(costs[row, : step + 1].sum()) == pytest.approx(risen / 2, rel=1e-6)
            kept = tuple(k for k in kept if k != place)


def test_the_first_step_is_the_formula_of_the_paper() -> None:
    """L = w^2 / (2 H^-1[q, q]) and the others move by -w / H^-1[q, q] times column q."""
    hessian, weight = (
        torch.tensor([[2.0, 1], [1, 1]], dtype=torch.float64),
        torch.tensor([[1.0, 1]], dtype=torch.float64),
    )
    costs, places = removals(weight, hessian, torch.ones(1, 2, dtype=torch.bool), None)
    assert int(places[0, 0]) == 1, "H^-1 = [[1, -1], [-1, 2]]: costs 1/2 and 1/4"
    assert costs[0].tolist() == pytest.approx([0.25, 2.25])
    assert refitted(weight, hessian, torch.tensor([[True, False]])).tolist() == [[1.5, 0]]


def test_rows_share_the_zeros_by_what_they_cost() -> None:
    """The second row is a thousand times the first: all zeros are in the first."""
    weight, hessian = problem(1, 4)
    technique = surgeon()
    found, keep = technique._solved(
        torch.cat([weight, 1000 * weight]), hessian, torch.ones(2, 4, dtype=torch.bool), 5, None
    )
    assert keep.sum(1).tolist() == [1, 4]
    assert torch.allclose(found[1], 1000 * weight[0])


def test_chunks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, hessian = problem(5, 8)
    everywhere = torch.ones_like(weight, dtype=torch.bool)
    whole = removals(weight, hessian, everywhere, NOfM(2, 4))
    monkeypatch.setattr(obs, "CHUNK", 128)
    parts = removals(weight, hessian, everywhere, NOfM(2, 4))
    assert torch.equal(whole[1], parts[1])
    assert whole[1].shape == (5, 4)
    gone = torch.zeros(5, 8).scatter(1, whole[1], 1.0)
    assert (gone.view(-1, 4).sum(1) == 2).all()


@pytest.mark.parametrize("pattern", [None, "2:4"])
def test_a_network_changes_less_than_by_magnitude(pattern: str | None) -> None:
    context = Correlated()
    subject = surgeon(targets=["fc3", "fc2"], pattern=pattern, block_columns=20).apply(lenet(), context)
    plain = MagnitudePruning(["fc3", "fc2"], 0.5, {}, [], "per_layer", 1, None, pattern).apply(lenet(), context)
    assert int((subject.model.get_parameter("fc2.weight") != 0).sum()) == 15_000
    assert apart(subject, context) < 0.25 * apart(plain, context)
    if pattern:
        assert subject.formats["fc3.weight"] == NOfM(2, 4)


def test_a_trained_network_keeps_its_accuracy_with_a_tenth_of_its_weights() -> None:
    """Without any training; by magnitude nothing is left of it."""
    ours = surgeon(ratio=0.9, damping=0.01, examples=512).apply(learned(), DigitsContext())
    theirs = MagnitudePruning(["linear"], 0.9, {}, [], "per_layer", 1, None).apply(learned(), DigitsContext())
    assert accuracy(ours) > 0.9
    assert accuracy(theirs) < 0.5


def test_masks_from_before_and_grouped_convolutions() -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=2)))
    subject = MagnitudePruning(["conv"], 0.3, {}, [], "per_layer", 1, None).apply(bare(model), StageContext(4, 8))
    gone = subject.model.get_parameter("0.weight") == 0
    subject = surgeon(ratio=0.6).apply(subject, StageContext(4, 8))
    weight = subject.model.get_parameter("0.weight")
    assert not weight[gone].any()
    assert int((weight != 0).sum()) == 58, "of 144"


@pytest.mark.parametrize("pattern", [None, "2:4"])
def test_more_zeros_than_asked_for_stay_as_many(pattern: str | None) -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv2d(4, 8, 3)))
    subject = MagnitudePruning(["conv"], 0.8, {}, [], "per_layer", 1, None).apply(bare(model), StageContext(4, 8))
    gone = subject.model.get_parameter("0.weight") == 0
    subject = surgeon(pattern=pattern).apply(subject, StageContext(4, 8))
    assert not subject.model.get_parameter("0.weight")[gone].any()
    assert not subject.broken()
    mask = subject.mask("0.weight")
    assert mask is not None
    assert not mask[gone].any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pattern": "2x2"}, "pattern is '2x2', but weights go one after the other"),
        ({"block_columns": 6, "pattern": "2:4"}, "block_columns is 6; allowed: a multiple of 4"),
        ({"damping": 0.0}, "damping is 0"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        surgeon(**fields)
