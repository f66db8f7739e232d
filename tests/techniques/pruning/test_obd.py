"""Optimal Brain Damage: half the second derivative times the weight squared (LeCun et al. 1990)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning._loss_gradients import mean_squared_gradients
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.pruning.obd import OptimalBrainDamage
from tests.techniques.lending import StageContext, bare, seeded
from tests.techniques.quantization.learned import DigitsContext, learned

STEP = TrainingConfig(epochs=1, batch_size=8, lr=0.01, optimizer="sgd", schedule="constant", weight_decay=0.0)


def damage(**fields: Any) -> OptimalBrainDamage:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "ratio": 0.5, "ratios": {}, "scope": "global"}
    return OptimalBrainDamage(
        **{
            **own,
            "rounds": 1,
            "retrain": None,
            "pattern": None,
            "examples": 64,
            **fields,
        }
    )


class Two(StageContext):
    """Two examples of two numbers, of classes 0 and 1."""

    def calibration(self, batch_size: int, batches: int) -> Iterator[tuple[Tensor, Tensor]]:
        return iter([(torch.tensor([[[[1.0, 2.0]]], [[[3.0, 0.0]]]]), torch.tensor([0, 1]))])


def test_curvatures_are_means_over_examples_not_over_batches() -> None:
    """Logits are 0, so the gradient of weight (k, i) is (1/2 - [k = y]) x_i: squared 1/4 x_i^2, of both rows."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    nn.init.zeros_(model[1].weight)
    found = mean_squared_gradients(model, ["1.weight"], Two(1, 2, classes=2), 2)
    assert found["1.weight"].tolist() == [[1.25, 0.5], [1.25, 0.5]], "(1 + 9) / 8 and (4 + 0) / 8"


def test_the_least_saliencies_go() -> None:
    """Equal columns have equal logits; saliencies go with 1.25 w^2 and 0.5 w^2."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, 1.5], [1.0, 1.5]]))
    plain = MagnitudePruning(["linear"], 0.5, {}, [], "global", 1, None).apply(bare(model).clone(), Two(1, 2))
    assert plain.model.get_parameter("1.weight").tolist() == [[0, 1.5], [0, 1.5]]
    subject = damage().apply(bare(model), Two(1, 2, classes=2))
    assert subject.model.get_parameter("1.weight").tolist() == [[1, 0], [1, 0]]


def test_saliencies_rank_weights_by_how_far_the_network_moves_without_them() -> None:
    """Each sixteenth weight of a trained layer is set to zero by itself: by the Kullback-Leibler divergence of the
    answers before and after, saliencies are nearer to the right order than magnitudes."""
    context, model = DigitsContext(), learned().model.eval()
    inputs, _ = next(iter(context.calibration(256, 1)))
    weight = model.get_parameter("4.weight").detach()
    saliencies = weight.square() * mean_squared_gradients(model, ["4.weight"], context, 256)["4.weight"]
    some, flat, moves = range(0, weight.numel(), 16), weight.view(-1), []
    with torch.no_grad():
        before = model(inputs).log_softmax(1)
        for place in some:
            value, flat[place] = float(flat[place]), 0.0
            moves.append(float((before.exp() * (before - model(inputs).log_softmax(1))).sum(1).mean()))
            flat[place] = value
    ours, theirs = (agreement(each.view(-1)[list(some)], torch.tensor(moves)) for each in (saliencies, weight.abs()))
    assert ours > 0.9 > theirs


def agreement(first: Tensor, second: Tensor) -> float:
    """Return Spearman's correlation of ranks."""
    return float(torch.corrcoef(torch.stack([each.argsort().argsort().double() for each in (first, second)]))[0, 1])


def test_rounds_compute_saliencies_anew_and_train_in_between() -> None:
    context = StageContext(1, 8)
    subject = bare(seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10))))
    subject = damage(ratio=0.75, rounds=2, retrain=STEP).apply(subject, context)
    assert context.trained == [STEP]
    assert int((subject.model.get_parameter("1.weight") == 0).sum()) == 480


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"examples": 0}, "examples is 0"),
        ({"rounds": 0}, "rounds is 0"),
        ({"pattern": "2:4"}, "scope is 'global' with pattern 2:4"),
        ({"scope": "all"}, "scope is 'all'"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        damage(**fields)
