"""Winning tickets: pruned in rounds, each time from the first weights (Frankle and Carbin 2019)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning.lottery_ticket import LotteryTicket
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from tests.techniques.lending import StageContext, bare, seeded

STEP = TrainingConfig(epochs=2, batch_size=8, lr=0.05, optimizer="sgd", schedule="constant", weight_decay=0.0)


def ticket(**fields: Any) -> LotteryTicket:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "rounds": 2, "rate": 0.2, "rates": {}}
    return LotteryTicket(training=STEP, **{**own, "scope": "per_layer", "rewind_steps": 0, **fields})


def network() -> Subject:
    layers = lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 10))  # noqa: E731
    return bare(seeded(layers))


class Watching(StageContext):
    """Notes the weights that each training starts from."""

    def __init__(self) -> None:
        super().__init__(1, 8)
        self.starts: list[dict[str, torch.Tensor]] = []
        self.ends: list[dict[str, torch.Tensor]] = []

    def train(self, subject: Subject, config: TrainingConfig, objective: Any = None, hooks: Any = ()) -> Subject:
        names = {
            name: name.replace("parametrizations.weight.original", "weight") for name in subject.model.state_dict()
        }
        self.starts.append({names[name]: each.clone() for name, each in subject.model.state_dict().items()})
        subject = super().train(subject, config, objective, hooks)
        self.ends.append({names[name]: each.clone() for name, each in subject.model.state_dict().items()})
        return subject


def test_five_rounds_of_a_fifth_leave_a_third_and_the_output_layer_more() -> None:
    """0.8^5 of 1,280 weights and 0.9^5 of 200: 419.4 and 118.1, together 537.5."""
    subject = ticket(rounds=5, rates={"last": 0.1}).apply(network(), StageContext(1, 8))
    left = [int((subject.model.get_parameter(f"{layer}.weight") != 0).sum()) for layer in (1, 4)]
    assert left == [420, 118]


def test_every_training_starts_from_the_first_weights_but_for_those_that_went() -> None:
    context, first = Watching(), {name: each.clone() for name, each in network().model.state_dict().items()}
    ticket().apply(network(), context)
    assert len(context.starts) == 3
    for number, start in enumerate(context.starts):
        for name, tensor in start.items():
            there = tensor != 0
            assert torch.equal(tensor[there], first[name][there]), name
        assert int((start["1.weight"] != 0).sum()) == round(1_280 * 0.8**number)
        went = (start["1.weight"] == 0) & (context.starts[max(0, number - 1)]["1.weight"] != 0)
        if number:
            trained = context.ends[number - 1]["1.weight"].abs()
            assert trained[went].max() <= trained[start["1.weight"] != 0].min()


def test_it_can_go_back_to_a_later_step() -> None:
    """A training has four steps; two of them are what one epoch alone does."""
    context, alone = Watching(), Watching()
    ticket(rounds=1, rewind_steps=2).apply(network(), context)
    alone.train(network(), TrainingConfig(**{**vars(STEP), "epochs": 1}))
    there = context.starts[1]["1.weight"] != 0
    for name in ("1.weight", "2.weight", "4.bias"):
        now, wanted = context.starts[1][name], alone.ends[0][name]
        where = there if name == "1.weight" else torch.ones_like(now, dtype=torch.bool)
        assert torch.equal(now[where], wanted[where]), name
    assert not torch.equal(context.starts[0]["2.weight"], context.starts[1]["2.weight"])


def test_a_weight_pruner_may_follow() -> None:
    magnitude = MagnitudePruning(["conv", "linear"], 0.5, {}, [], "per_layer", 1, None)
    assert magnitude.fault_after([ticket()]) is None


def test_past_the_end_of_the_training_nothing_is_rewound() -> None:
    context = Watching()
    ticket(rounds=1, rewind_steps=100).apply(network(), context)
    assert torch.equal(context.starts[1]["4.bias"], context.ends[0]["4.bias"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rate": 1.0}, r"rate is 1\.0"),
        ({"rates": {"last": -0.1}}, r"rates\.last is -0\.1"),
        ({"rounds": 0}, "rounds is 0"),
        ({"rewind_steps": -1}, "rewind_steps is -1"),
        ({"scope": "everything"}, "scope is 'everything'"),
        ({"scope": "global", "rates": {"last": 0.1}}, "with scope global there is one rate"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ticket(**fields)


class Tied(nn.Module):
    """Two layers with the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.there, self.back = nn.Linear(64, 10), nn.Linear(10, 10), nn.Linear(10, 10)
        self.back.weight = self.there.weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.back(self.there(self.first(images.flatten(1)).relu()).relu())
        return found


def test_weights_that_two_layers_share_are_rewound_too() -> None:
    context = Watching()
    subject = ticket(targets=["first"], rounds=1, rewind_steps=1).apply(bare(seeded(Tied)), context)
    begin, rewound = context.starts[0]["there.weight"], context.starts[1]["there.weight"]
    assert not torch.equal(rewound, begin), "it is what it was after a step"
    assert not torch.equal(rewound, context.ends[0]["there.weight"])
    assert subject.model.get_parameter("back.weight") is subject.model.get_parameter("there.weight")
