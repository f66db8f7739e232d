"""SNIP: connections go before training by |w dL/dw| (Lee et al. 2019)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning._loss_gradients import mean_gradients
from compressbench.techniques.pruning.snip import SNIP
from tests.techniques.lending import StageContext, bare, seeded
from tests.techniques.pruning.test_obd import Two
from tests.techniques.quantization.learned import LEARNING, DigitsContext, _network, accuracy


def snip(**fields: Any) -> SNIP:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "ratio": 0.5, "ratios": {}, "scope": "global"}
    return SNIP(**{**own, "pattern": None, "examples": 64, **fields})


def test_sensitivities_by_hand() -> None:
    """Equal rows have logits that are equal: dL/dw is (1/2 - [k = y]) x, for the two examples (-1/2, -1) and (3/2, 0)
    in the first row, the mean (1/2, -1/2): both rows have sensitivities w / 2, so the smaller weights go."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[3.0, 4.0], [3.0, 4.0]]))
    assert mean_gradients(model, ["1.weight"], Two(1, 2, classes=2), 2)["1.weight"].tolist() == [
        [0.5, -0.5],
        [-0.5, 0.5],
    ]
    subject = snip().apply(bare(model), Two(1, 2, classes=2))
    assert subject.model.get_parameter("1.weight").tolist() == [[0, 4], [0, 4]]


def test_it_is_the_derivative_by_a_factor_on_the_connection() -> None:
    context = StageContext(1, 8)
    model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    factors = torch.ones(10, 64, requires_grad=True)
    inputs, targets = next(iter(context.calibration(64, 1)))
    logits = nn.functional.linear(inputs.flatten(1), model[1].weight.detach() * factors, model[1].bias.detach())
    (wanted,) = torch.autograd.grad(nn.functional.cross_entropy(logits, targets), factors)
    found = model[1].weight.detach() * mean_gradients(model, ["1.weight"], context, 64)["1.weight"]
    assert torch.allclose(found, wanted, atol=1e-7)


def test_statistics_and_weights_stay_as_they_were() -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10)))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    mean_gradients(model, ["0.weight"], StageContext(1, 8), 64)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model[0].weight.grad is None


def test_an_untrained_network_learns_with_a_tenth_of_its_weights() -> None:
    context = DigitsContext()
    subject = snip(ratio=0.9).apply(bare(seeded(_network)), context)
    trained = context.train(subject, TrainingConfig(**{**vars(LEARNING)}))
    assert sum(int((trained.model.get_parameter(f"{n}.weight") != 0).sum()) for n in (1, 4, 7)) <= 883
    assert accuracy(trained) > 0.8


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="examples is 0"):
        snip(examples=0)
