"""FSP matrices: counted by hand; two stages, and students of other widths."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from compressbench.core.source import Source
from compressbench.techniques.distillation.fsp import FlowDistillation, fsp_loss, fsp_matrix
from tests.techniques.distillation.taught import EPOCH, after, context, network


def flow(**changes: object) -> FlowDistillation:
    given = {"features": ["conv1", "conv2"], "teacher_features": [], "fsp_training": EPOCH, "weight": 0.0}
    return FlowDistillation(Source("teacher"), **{**given, "project": False, **changes})  # type: ignore[arg-type]


def test_a_matrix_holds_the_mean_products_of_channels() -> None:
    """One channel (1, 2) and two, (3, 4) and (0, 1): (3 + 8) / 2 and 2 / 2."""
    first, second = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[3.0, 4.0]], [[0.0, 1.0]]]])
    assert fsp_matrix(first, second).tolist() == [[[5.5, 1.0]]]
    larger = torch.tensor([[[[1.0, -1.0, 0.0, 2.0]]]])  # of each half the largest
    assert fsp_matrix(larger, second).tolist() == [[[5.5, 1.0]]]


def test_the_loss_is_the_mean_square_of_what_two_matrices_are_apart() -> None:
    """5.5 and 1 beside 11 and 2: (5.5^2 + 1) / 2; a second pair beside it adds its own."""
    first, second = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[3.0, 4.0]], [[0.0, 1.0]]]])
    one: list[tuple[Tensor, Tensor]] = [(first, 2 * first), (second, second)]
    assert float(fsp_loss(one)) == pytest.approx(15.625)
    assert float(fsp_loss(one + one)) == pytest.approx(31.25)


def test_the_first_stage_makes_the_matrices_alike_and_leaves_what_is_behind_them() -> None:
    lent, student = context(), network(8)
    with torch.no_grad():
        lent.stages["teacher"].model[0].weight.mul_(3)  # type: ignore[index, union-attr, operator]
    flow().objective(student, lent)
    assert lent.trained == [EPOCH]
    networks, apart = (network(8), student, lent.stages["teacher"]), []
    first, second = ([after(each, name, lent.inputs) for each in networks] for name in ("conv1", "conv2"))
    for number in (0, 1):
        apart.append(float(fsp_loss([(maps[number], maps[2]) for maps in (first, second)])))
    assert apart[1] < 0.5 * apart[0]
    assert torch.equal(student.model.get_parameter("fc.weight"), network(8).model.get_parameter("fc.weight"))


def test_a_narrow_student_needs_projections_which_are_thrown_away() -> None:
    lent, student = context(), network(2)
    with pytest.raises(ValueError, match=r"conv1 gives \[2, 8, 8\].*\[8, 8, 8\].*or project=true"):
        flow().objective(network(2), lent)
    names = student.model.state_dict().keys()
    made = flow(project=True, training=EPOCH, weight=1.0).apply(student, lent)
    assert made.model.state_dict().keys() == names
    assert lent.trained == [EPOCH, EPOCH]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fsp_training": None}, "weight is 0 and fsp_training is null"),
        ({"features": ["conv1"]}, "an even number"),
        ({"weight": -1.0}, "weight is -1"),
    ],
)
def test_what_teaches_nothing_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        flow(**fields)
