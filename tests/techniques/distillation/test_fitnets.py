"""Hints: regressors of the paper's size, a first stage up to the guided layer, a weight that falls."""

from __future__ import annotations

from math import log

import pytest
import torch

from compressbench.core.source import Source
from compressbench.techniques.distillation._features import Pair
from compressbench.techniques.distillation.fitnets import FitNets, regressor
from tests.techniques.distillation.taught import EPOCH, context, network, seen


def fitnets(**changes: object) -> FitNets:
    given = {"features": ["conv2"], "teacher_features": [], "temperature": 3.0, "weight": 4.0, "final_weight": 1.0}
    return FitNets(Source("teacher"), **{**given, "hint_training": EPOCH, **changes})  # type: ignore[arg-type]


def test_a_regressors_kernel_takes_the_guided_map_to_the_hints_size() -> None:
    """N_guided - N_hint + 1 = 8 - 6 + 1."""
    found = regressor(Pair("a", "b", (4, 8, 8), (16, 6, 7)))
    assert list(found(torch.zeros(2, 4, 8, 8)).shape) == [2, 16, 6, 7]
    assert list(found.weight.shape) == [16, 4, 3, 2]  # type: ignore[union-attr, arg-type]
    assert list(regressor(Pair("a", "b", (4,), (16,)))(torch.zeros(2, 4)).shape) == [2, 16]


@pytest.mark.parametrize(("ours", "theirs"), [((4, 5, 8), (16, 6, 7)), ((4,), (16, 6, 7)), ((4, 9), (4, 9))])
def test_what_no_regressor_finds_is_refused(ours: tuple[int, ...], theirs: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="allowed: maps no smaller than the teacher's, or vectors"):
        regressor(Pair("a", "b", ours, theirs))


def test_the_weight_of_the_teacher_falls_from_4_to_1() -> None:
    """Logits 0 and 3 ln 3 at T = 3 are probabilities 1/4 and 3/4; the student's are halves: H = ln 2."""
    outputs = torch.zeros(1, 2), torch.tensor([[0.0, 3 * log(3)]])
    found = [float(fitnets().loss(seen(outputs=outputs, done=done))) for done in (0.0, 0.5, 1.0)]
    assert found == pytest.approx([8 + weight * log(2) for weight in (4.0, 2.5, 1.0)])
    sure = torch.tensor([[0.0, 3 * log(3)]]), torch.tensor([[0.0, 3 * log(3)]])
    entropy = -0.25 * log(0.25) - 0.75 * log(0.75)
    assert float(fitnets().loss(seen(outputs=sure))) == pytest.approx(8 + 4 * entropy), "the cross-entropy, not KL"


def test_the_first_stage_trains_up_to_the_guided_layer_and_the_second_all() -> None:
    lent, student, fresh = context(), network(2), network(2).model
    fitnets().objective(student, lent)
    named = student.model.named_parameters()
    moved = {name for name, tensor in named if not torch.equal(tensor, fresh.get_parameter(name))}
    assert moved == {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"}
    made = fitnets(training=EPOCH).apply(student, lent)
    assert lent.trained == [EPOCH, EPOCH, EPOCH]
    assert not torch.equal(made.model.get_parameter("fc.weight"), fresh.get_parameter("fc.weight"))
    assert made.model.state_dict().keys() == fresh.state_dict().keys()


def test_without_a_training_for_hints_only_the_second_stage_is_left() -> None:
    lent, student = context(), network(2)
    assert fitnets(hint_training=None).objective(student, lent).learned is None
    assert not lent.trained
    assert torch.equal(student.model.get_parameter("conv1.weight"), network(2).model.get_parameter("conv1.weight"))


@pytest.mark.parametrize("fields", [{"temperature": 0.0}, {"weight": -1.0}, {"final_weight": float("nan")}])
def test_fields_out_of_range_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(fields))} is "):
        fitnets(**fields)
