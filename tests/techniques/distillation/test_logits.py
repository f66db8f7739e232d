"""Logits regressed: the loss by hand."""

from __future__ import annotations

import pytest
import torch

from compressbench.core.source import Source
from compressbench.techniques.distillation.logits import LogitDistillation
from tests.techniques.distillation.taught import EPOCH, context, network, seen

OURS, THEIRS = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 4.0], [0.0, 0.0]])


def test_the_loss_is_half_the_squared_distance_of_the_logits() -> None:
    """Of the first example (1 + 4) / 2, of the second 0; the mean is 1.25, and half of it with half of the task's 8."""
    batch = seen(outputs=(OURS, THEIRS))
    assert float(LogitDistillation(Source("teacher"), weight=1.0).loss(batch)) == pytest.approx(1.25)
    assert float(LogitDistillation(Source("teacher"), weight=0.5).loss(batch)) == pytest.approx(0.625 + 4)


def test_its_gradient_is_the_difference_of_the_logits() -> None:
    ours = OURS.clone().requires_grad_()
    LogitDistillation(Source("teacher"), weight=1.0).loss(seen(outputs=(ours, THEIRS))).backward()
    assert ours.grad is not None
    assert torch.equal(ours.grad, (OURS - THEIRS) / 2)


def test_a_student_comes_nearer_to_its_teachers_logits() -> None:
    lent = context()
    inputs, teacher = lent.inputs, lent.stages["teacher"].model
    before, student = network(2).model(inputs), network(2)
    after = LogitDistillation(Source("teacher"), 1.0, EPOCH).apply(student, lent).model(inputs)
    assert (after - teacher(inputs)).norm() < (before - teacher(inputs)).norm()


def test_other_classes_and_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the teacher gives \[3\], the student \[2\]"):
        LogitDistillation(Source("teacher"), 1.0).loss(seen(outputs=(OURS, torch.zeros(2, 3))))
    with pytest.raises(ValueError, match=r"weight is 1.5; allowed: 0 to 1"):
        LogitDistillation(Source("teacher"), 1.5)
