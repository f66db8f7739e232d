"""RigL: connections go by magnitude and come by gradient, as many (Evci et al. 2020)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning._masked import Masked
from compressbench.techniques.pruning.rigl import RigL, erdos_renyi, uniform
from tests.techniques.lending import StageContext, bare, seeded
from tests.techniques.quantization.learned import LEARNING, DigitsContext, _network, accuracy

STEP = TrainingConfig(epochs=5, batch_size=8, lr=0.05, optimizer="sgd", schedule="constant", weight_decay=0.0)


def rigl(**fields: Any) -> RigL:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "ratio": 0.8, "distribution": "erk"}
    return RigL(**{"training": STEP, **own, "drop_fraction": 0.3, "frequency": 2, "end": 0.75, **fields})


def network() -> Subject:
    return bare(seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))))


def test_densities_go_with_the_sum_of_the_sizes() -> None:
    """Equation 1: 64 -> 20 has 84 / 1,280, 20 -> 10 has 30 / 200 per unit, so 84 and 30 connections a unit. A tenth of
    1,480 is 148: 148 x 84 / 114 and 148 x 30 / 114."""
    found = erdos_renyi({"a": (20, 64), "b": (10, 20)}, 0.9)
    assert found["a"] * 1280 == Fraction(148 * 84, 114)
    assert found["b"] * 200 == Fraction(148 * 30, 114)


def test_a_layer_that_would_be_more_than_dense_is_dense_and_the_others_make_up_for_it() -> None:
    """3 x 3 kernels count in the sum: 16 -> 16 has 38 connections a unit, of 2,304; 2 -> 2 has 10 of 36."""
    found = erdos_renyi({"large": (16, 16, 3, 3), "small": (2, 2, 3, 3)}, 0.5)
    assert found["small"] == 1
    assert found["large"] * 2304 == 2340 // 2 - 36
    assert uniform({"first": (2, 2), "second": (3, 3)}, 0.9) == {"first": 1, "second": Fraction(1, 10)}


def test_the_smallest_go_and_the_largest_gradients_come_from_zero() -> None:
    """Half of four connections move; the third weight goes, but has the largest gradient of all and comes again."""
    weight = nn.Parameter(torch.tensor([[4.0, -3, 0.2, 0.1, 7, 7]]))
    weight.grad = torch.tensor([[9.0, 9, 5, 0, -2, 1]])
    function = Masked(torch.tensor([[1.0, 1, 1, 1, 0, 0]]), True)
    with torch.no_grad():
        rigl()._move(function, weight, 0.5)
    assert function.mask.tolist() == [[1, 1, 1, 0, 1, 0]]
    assert weight.tolist() == [[4, -3, pytest.approx(0.2), pytest.approx(0.1), 0, 7]]


def test_the_network_is_as_sparse_at_every_step() -> None:
    counts: list[int] = []
    masks: list[torch.Tensor] = []

    class Watching(StageContext):
        def train(self, subject: Subject, config: TrainingConfig, objective: Any = None, hooks: Any = ()) -> Subject:
            (hook,) = hooks

            def watch(model: nn.Module) -> None:
                hook.after_backward(model)
                masks.append((model[1].weight != 0).detach())
                counts.append(int((model[1].weight != 0).sum()) + int((model[3].weight != 0).sum()))

            return super().train(subject, config, objective, [type(hook)(after_backward=watch)])

    subject = rigl().apply(network(), Watching(1, 8))
    assert len(counts) == 10
    assert max(counts) <= 296, "1 - 0.8 of 1,480; what has just come is still zero"
    assert not torch.equal(masks[0], masks[-1])
    assert torch.equal(masks[7], masks[9]), "after 0.75 of 10 steps nothing moves"
    assert sum(int((subject.model[n].weight != 0).sum()) for n in (1, 3)) == 296  # type: ignore[index, union-attr, arg-type]
    assert not subject.broken()


def test_a_sparse_network_learns() -> None:
    training = TrainingConfig(**{**vars(LEARNING)})
    subject = rigl(training=training, ratio=0.9, frequency=20).apply(bare(seeded(_network)), DigitsContext())
    assert accuracy(subject) > 0.85


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"distribution": "er"}, "distribution is 'er'"),
        ({"drop_fraction": 1.5}, r"drop_fraction is 1\.5"),
        ({"end": -0.1}, r"end is -0\.1"),
        ({"frequency": 0}, "frequency is 0"),
        ({"ratio": 1.0}, r"ratio is 1\.0"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rigl(**fields)
