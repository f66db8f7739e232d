"""Apprentice: the loss by hand, and ternary weights that learn from a teacher."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.objective import Seen
from compressbench.core.source import Source
from compressbench.techniques.distillation.apprentice import Apprentice, cross_entropy
from tests.techniques.lending import bare, seeded, trained_by
from tests.techniques.quantization.learned import FIELDS, DigitsContext, accuracy, learned


def apprentice(**changes: Any) -> Apprentice:
    given = {
        "teacher": Source("teacher"),
        "teacher_weight": 1.0,
        "label_weight": 0.5,
        "output_weight": 0.25,
        "joint": False,
    }
    return trained_by(Apprentice, **{**FIELDS, **given, **changes})


def seen(teacher: list[float] | None) -> Seen:
    """Logits of the apprentice that are alike: probabilities 1/2 and 1/2; its own loss is 8."""
    outputs, nothing = torch.tensor([[1.0, 1.0]]), torch.zeros(1)
    return Seen(
        nothing, nothing, outputs, lambda: torch.tensor(8.0), {}, None if teacher is None else torch.tensor([teacher])
    )


def test_the_loss_is_the_papers() -> None:
    """The teacher says 1/4 and 3/4: the cross-entropy with 1/2 and 1/2 is ln 2."""
    assert float(apprentice().loss(seen([0.0, log(3)]))) == pytest.approx(0.5 * 8 + 0.25 * log(2))
    assert float(cross_entropy(torch.tensor([[0.0, log(3)]]), torch.tensor([[0.0, log(9)]]))) == pytest.approx(
        -0.25 * log(0.1) - 0.75 * log(0.9)
    )


def test_a_joint_teacher_has_a_loss_of_its_own_and_learns_from_that_alone() -> None:
    teacher = nn.Linear(1, 2)
    teacher.load_state_dict({"weight": torch.zeros(2, 1), "bias": torch.tensor([0.0, log(3)])})

    def score(logits: Tensor | None = None) -> Tensor:
        return torch.tensor(8.0) if logits is None else logits[:, 0].sum() + 3

    batch = Seen(torch.zeros(1, 1), torch.zeros(1), torch.tensor([[1.0, 1.0]]), score)
    found = apprentice(teacher_weight=2.0).joint_loss(teacher, batch)
    assert float(found.detach()) == pytest.approx(2 * 3 + 0.5 * 8 + 0.25 * log(2))
    found.backward()
    assert teacher.bias.grad is not None
    assert teacher.bias.grad.tolist() == [2.0, 0.0]


def test_it_lends_a_teacher_that_is_learned_where_it_is_joint() -> None:
    context, student = DigitsContext(), bare(nn.Linear(1, 1))
    context.stages["teacher"] = learned()
    alone, along = (apprentice(joint=joint).objective(student, context) for joint in (False, True))
    assert (alone.teacher is None, alone.learned is None) == (False, True)
    assert (along.teacher is None, along.learned is None) == (True, False)


@pytest.mark.parametrize("joint", [False, True])
def test_a_student_learns_the_digits(joint: bool) -> None:
    context = DigitsContext()
    context.stages["teacher"] = learned()
    student = bare(seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))))
    assert accuracy(apprentice(joint=joint, epochs=5).apply(student, context)) > 0.85


def test_a_teacher_with_other_classes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the teacher gives \[3\], the student \[2\]"):
        apprentice().loss(seen([0.0, 1.0, 2.0]))


@pytest.mark.parametrize("key", ["teacher_weight", "label_weight", "output_weight"])
def test_negative_weights_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=rf"{key} is -1; allowed: 0 or more"):
        apprentice(**{key: -1})
