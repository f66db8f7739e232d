"""Jacobian matching: slopes by hand, and a student that comes to have its teacher's."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.objective import Seen
from compressbench.core.source import Source
from compressbench.data.tasks.language_modelling import LanguageModelling
from compressbench.techniques.distillation.jacobian import JacobianMatching, slope
from compressbench.testing.made_up import MadeUpContext
from tests.techniques.lending import StageContext, bare, seeded, trained_by
from tests.techniques.quantization.learned import FIELDS, DigitsContext, accuracy, learned


def jacobian(**changes: Any) -> JacobianMatching:
    given = {"teacher": Source("teacher"), "activations": 0.0, "jacobians": 1.0}
    return trained_by(JacobianMatching, **{**FIELDS, **given, **changes})


def linear(rows: list[list[float]]) -> nn.Module:
    layer = nn.Linear(2, 2, bias=False)
    layer.load_state_dict({"weight": torch.tensor(rows)})
    return layer


def scored(technique: JacobianMatching, student: nn.Module, teacher: nn.Module, inputs: Tensor) -> Tensor:
    outputs, theirs = student(inputs), teacher(inputs).detach()
    return technique.loss(student, teacher, Seen(inputs, outputs, outputs, lambda: torch.tensor(8.0), {}, theirs))


def test_the_loss_is_the_papers() -> None:
    """Slopes of a linear layer are its rows. Of (1, 0) the teacher's largest output is its first: row (3, 4), as a unit
    (0.6, 0.8); the student's row is (1, 0): |(0.4, -0.8)|^2 = 0.8. Logits are 3 and 1 against 1 and 5: (4 + 16) / 2."""
    inputs = torch.tensor([[1.0, 0.0]])
    student, teacher = linear([[1.0, 0.0], [5.0, 1.0]]), linear([[3.0, 4.0], [1.0, 0.0]])
    assert float(scored(jacobian(), student, teacher, inputs).detach()) == pytest.approx(8 + 0.8)
    both = jacobian(activations=0.5, jacobians=2.0)
    assert float(scored(both, student, teacher, inputs).detach()) == pytest.approx(8 + 0.5 * 10 + 2 * 0.8)
    assert float(scored(jacobian(jacobians=0.0), student, teacher, inputs).detach()) == 8


def test_the_length_of_a_slope_does_not_count_and_its_gradient_turns_the_student() -> None:
    inputs = torch.tensor([[1.0, 0.0]])
    teacher = linear([[3.0, 4.0], [1.0, 0.0]])
    same = linear([[0.06, 0.08], [7.0, 7.0]])
    assert float(scored(jacobian(), same, teacher, inputs).detach()) == pytest.approx(8)
    other = linear([[1.0, 0.0], [0.0, 0.0]])
    scored(jacobian(), other, teacher, inputs).backward()
    assert other.weight.grad is not None
    assert other.weight.grad[0].tolist() == pytest.approx([0.0, -1.6]), "towards (0.6, 0.8)"
    assert teacher.weight.grad is None


def test_a_slope_is_taken_in_evaluation_mode_and_leaves_the_network_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(), nn.Linear(3, 2)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    slopes = [slope(model, torch.ones(4, 2), torch.zeros(4, dtype=torch.int64), True) for _ in range(2)]
    assert torch.equal(*slopes), "no dropout"
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(module.training for module in model.modules())


def test_a_student_learns_the_digits_and_comes_to_have_its_teachers_slopes() -> None:
    def apart(weight: float) -> float:
        context = DigitsContext()
        context.stages["teacher"] = learned()
        student = bare(seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))))
        trained = jacobian(jacobians=weight, epochs=3).apply(student, context)
        assert accuracy(trained) > 0.8
        inputs, _ = next(context.calibration(64, 1))
        teacher = learned().model
        largest = teacher(inputs).argmax(1)
        ours, theirs = (slope(model, inputs, largest, False) for model in (trained.model, teacher))
        return float((ours - theirs).square().sum(1).mean())

    assert apart(5.0) < 0.8 * apart(0.0)


def test_words_have_no_slopes() -> None:
    context = MadeUpContext(LanguageModelling(8, 12))
    with pytest.raises(ValueError, match="language_modelling are no single tensor of numbers to take slopes over"):
        jacobian().objective(bare(nn.Linear(1, 1)), context)


def test_a_teacher_with_other_classes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the teacher gives \[3\], the student \[2\]"):
        scored(jacobian(), nn.Linear(2, 2), nn.Linear(2, 3), torch.ones(1, 2))


def test_it_lends_its_objective() -> None:
    context = StageContext()
    context.stages["teacher"] = bare(nn.Linear(2, 2))
    student = bare(nn.Linear(2, 2))
    lent = jacobian().objective(student, context)
    assert isinstance(lent.loss, partial)
    assert lent.loss.args[0] is student.model
    with pytest.raises(ValueError, match="training is null; allowed: a mapping"):
        JacobianMatching(Source("teacher"), 0.1, 1.0).apply(student, context)


@pytest.mark.parametrize("key", ["activations", "jacobians"])
def test_negative_weights_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=rf"{key} is -1; allowed: 0 or more"):
        jacobian(**{key: -1})
