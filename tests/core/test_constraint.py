"""Constraints keep what they say and can tell whether it holds."""

import pytest
import torch
from torch import nn

from compressbench.core.constraint import CONSTRAINTS, Constraint, Frozen, Mask, Shared


def layer(*values: float) -> nn.Linear:
    """Return a layer with these weights in one row."""
    made = nn.Linear(len(values), 1, bias=False)
    with torch.no_grad():
        made.weight.copy_(torch.tensor([values]))
    return made


def test_a_mask_zeroes_what_it_does_not_keep_and_leaves_the_rest() -> None:
    pruned = layer(2.0, 2.0, 2.0)
    mask = Mask("weight", torch.tensor([[True, False, True]]))
    assert not mask.holds(pruned)
    mask.enforce(pruned)
    assert pruned.weight.tolist() == [[2.0, 0.0, 2.0]]
    assert mask.holds(pruned)


def test_frozen_weights_come_back_and_the_others_move() -> None:
    frozen = Frozen("weight", torch.tensor([[True, False, True]]), torch.tensor([[0.5, 9.0, -0.25]]))
    trained = layer(0.6, 0.7, -0.25)
    assert not frozen.holds(trained)
    frozen.enforce(trained)
    assert trained.weight.tolist() == torch.tensor([[0.5, 0.7, -0.25]]).tolist()
    assert frozen.holds(trained)


def test_frozen_weights_stay_where_they_are_through_momentum_and_weight_decay() -> None:
    trained = layer(0.5, 0.5)
    frozen = Frozen("weight", torch.tensor([[True, False]]), trained.weight.detach().clone())
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        trained(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        frozen.enforce(trained)
    assert trained.weight[0, 0] == 0.5
    assert trained.weight[0, 1] < 0


def test_shared_weights_get_the_mean_of_their_group_and_free_ones_stay() -> None:
    shared = Shared("weight", torch.tensor([[0, 1, 0, -1, 1]]))
    trained = layer(1.0, 5.0, 2.0, 7.0, 6.0)
    assert not shared.holds(trained)
    shared.enforce(trained)
    assert trained.weight.tolist() == [[1.5, 5.5, 1.5, 7.0, 5.5]]
    assert shared.holds(trained)


def test_weights_that_agree_already_are_not_moved_by_rounding() -> None:
    """The mean of three equal floats may be another float; a code book must not drift."""
    shared = Shared("weight", torch.zeros(1, 3, dtype=torch.int64))
    trained = layer(0.1, 0.1, 0.1)
    before = trained.weight.detach().clone()
    for _ in range(100):
        shared.enforce(trained)
    assert torch.equal(trained.weight, before)


def test_groups_may_be_empty_and_numbers_may_be_narrow() -> None:
    shared = Shared("weight", torch.tensor([[5, 5]], dtype=torch.int16))
    trained = layer(1.0, 3.0)
    shared.enforce(trained)
    assert trained.weight.tolist() == [[2.0, 2.0]]
    nobody = Shared("weight", torch.full((1, 2), -1))
    nobody.enforce(trained)
    assert nobody.holds(trained)


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        (Mask("weight", torch.tensor([[True, False, True]])), "Mask of weight (1 of 3 elements are zero)"),
        (
            Frozen("weight", torch.tensor([[True, False, True]]), torch.zeros(1, 3)),
            "Frozen of weight (2 of 3 elements never move)",
        ),
        (Shared("weight", torch.tensor([[0, -1, 0]])), "Shared of weight (2 elements have 1 values)"),
    ],
)
def test_a_promise_says_what_it_is_and_is_broken_where_its_parameter_is_gone(constraint: Constraint, said: str) -> None:
    assert str(constraint) == said
    zeros = layer(0.0, 0.0, 0.0)
    assert constraint.holds(zeros)
    assert not constraint.holds(layer(0.0, 0.0))
    assert not constraint.holds(nn.Sequential(zeros))


def test_every_kind_can_be_stored_by_its_name() -> None:
    assert list(CONSTRAINTS.values()) == [Mask, Frozen, Shared]
    assert list(CONSTRAINTS) == ["Mask", "Frozen", "Shared"]
