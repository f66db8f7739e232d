"""Knowledge distillation: the loss by hand, and a student that follows its teacher."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.objective import Seen
from compressbench.core.source import Source
from compressbench.techniques.distillation.kd import KnowledgeDistillation
from tests.techniques.lending import bare, seeded, trained_by
from tests.techniques.quantization.learned import FIELDS, DigitsContext, accuracy, learned


def kd(**changes: Any) -> KnowledgeDistillation:
    given = {"teacher": Source("teacher"), "temperature": 2.0, "weight": 0.75}
    return trained_by(KnowledgeDistillation, **{**FIELDS, **given, **changes})


def seen(student: list[list[float]], teacher: list[list[float]]) -> Seen:
    outputs = torch.tensor(student)
    nothing = torch.zeros(len(student))
    return Seen(nothing, nothing, outputs, lambda: torch.tensor(8.0), {}, torch.tensor(teacher))


def test_the_loss_is_the_papers() -> None:
    """Logits 0 and ln 9 at T = 2 are 0 and ln 3: probabilities 1/4 and 3/4; the student's are 1/2 and 1/2.

    KL = 1/4 ln(1/2) + 3/4 ln(3/2); the loss is 0.75 * 4 * KL + 0.25 * 8.
    """
    apart = 0.25 * log(0.5) + 0.75 * log(1.5)
    found = kd().loss(seen([[1.0, 1.0]], [[0.0, log(9)]]))
    assert float(found) == pytest.approx(0.75 * 4 * apart + 0.25 * 8)
    twice = kd().loss(seen([[1.0, 1.0], [5.0, 5.0]], [[0.0, log(9)], [3.0, 3.0]]))
    assert float(twice) == pytest.approx(0.75 * 4 * apart / 2 + 0.25 * 8), "the mean over the images"


def test_its_gradient_at_a_high_temperature_is_that_of_matching_logits() -> None:
    """Section 2.1: for zero-mean logits and a high T the gradient is (z - v) / N, whatever T is, thanks to T^2."""
    ours, theirs = torch.tensor([[0.3, -0.3]], requires_grad=True), torch.tensor([[1.0, -1.0]])
    scored = kd(temperature=100.0, weight=1.0).loss(Seen(ours, ours, ours, lambda: ours.sum(), {}, theirs))
    scored.backward()
    assert ours.grad is not None
    assert ours.grad.tolist()[0] == pytest.approx([-0.35, 0.35], rel=1e-3)


def test_a_teacher_with_other_classes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the teacher gives \[3\], the student \[2\]"):
        kd().loss(seen([[1.0, 1.0]], [[1.0, 1.0, 1.0]]))
    with pytest.raises(ValueError, match="two or more"):
        kd().loss(seen([[1.0]], [[1.0]]))


def test_a_student_without_labels_learns_the_digits_from_its_teacher() -> None:
    context = DigitsContext()
    context.stages["teacher"] = learned()
    student = bare(seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))))
    before = accuracy(student)
    assert accuracy(kd(weight=1.0, lr=0.05).apply(student, context)) > max(0.85, before)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0.0; allowed: more than 0"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"weight": 1.1}, "weight is 1.1; allowed: 0 to 1"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kd(**fields)


def test_probabilities_are_softened_by_the_temperature() -> None:
    """At T = 1 the same teacher says 1/10 and 9/10."""
    apart = 0.1 * log(0.2) + 0.9 * log(1.8)
    assert float(kd(temperature=1.0, weight=1.0).loss(seen([[0.0, 0.0]], [[0.0, log(9)]]))) == pytest.approx(apart)
