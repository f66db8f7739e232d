"""Objectives: what they see of a batch, and what of a teacher; hooks around the optimizer's step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.constraint import Mask
from compressbench.core.objective import Hook, Objective, Seen
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.data.tasks._classes import squared_hinge
from compressbench.training.loop import Trained
from tests.training.trained import same

Run = Callable[..., Trained]


@pytest.fixture
def teacher() -> nn.Module:
    torch.manual_seed(5)
    layers = [nn.Conv2d(1, 4, 5, stride=4), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(196, 10)]
    return nn.Sequential(*layers)


def test_an_objective_that_is_the_tasks_loss_trains_to_the_same_bits(run: Run, short: TrainingConfig) -> None:
    assert same(run(short), run(short, objective=Objective(lambda seen: seen.task_loss())))


def test_an_objective_sees_the_batch_the_outputs_and_the_features_it_names(run: Run, short: TrainingConfig) -> None:
    shapes: list[list[list[int]]] = []

    def loss(seen: Seen) -> Tensor:
        tensors = (seen.inputs, seen.targets, seen.outputs, seen.features["3"])
        shapes.append([list(tensor.shape) for tensor in tensors])
        assert seen.teacher_outputs is None
        assert torch.equal(seen.task_loss(), squared_hinge(seen.outputs, seen.targets))
        assert torch.equal(seen.task_loss(2 * seen.outputs), squared_hinge(2 * seen.outputs, seen.targets))
        return seen.task_loss() + seen.features["3"].square().mean()

    short = replace(short, loss="squared_hinge")
    trained = run(short, Limits(epochs=1, steps=2), objective=Objective(loss, features=("3", "6")))
    assert shapes == 2 * [[[128, 1, 32, 32], [128], [128, 10], [128, 8, 7, 7]]]
    assert not same(trained, run(short, Limits(epochs=1, steps=2)))
    assert not any(module._forward_hooks for module in trained.subject.model.modules())


def test_a_teacher_sees_the_same_batch_in_evaluation_mode_without_gradients_and_stays_as_it_was(
    run: Run, short: TrainingConfig, teacher: nn.Module
) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    teacher.train()

    def loss(seen: Seen) -> Tensor:
        assert not teacher.training
        assert not seen.teacher_outputs.requires_grad
        assert torch.equal(seen.teacher_outputs, teacher(seen.inputs))
        assert list(seen.teacher_features["0"].shape) == [128, 4, 7, 7]
        return functional.mse_loss(seen.outputs, seen.teacher_outputs)

    run(short, Limits(epochs=1, steps=2), objective=Objective(loss, teacher=teacher, teacher_features=("0",)))
    assert teacher.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_teacher_computes_in_the_students_precision(run: Run, short: TrainingConfig, teacher: nn.Module) -> None:
    seen_types = set()

    def loss(seen: Seen) -> Tensor:
        seen_types.add((seen.features["6"].dtype, seen.teacher_features["4"].dtype, seen.teacher_outputs.dtype))
        return functional.mse_loss(seen.outputs, seen.teacher_outputs)

    objective = Objective(loss, ("6",), teacher, ("4",))
    run(replace(short, precision="bf16"), Limits(epochs=1, steps=1), objective=objective)
    assert seen_types == {(torch.bfloat16, torch.bfloat16, torch.float32)}


@pytest.mark.parametrize(
    ("features", "teacher_features", "said"),
    [
        (("33",), (), "features has '33', which Sequential does not have"),
        ((), ("conv",), "teacher_features has 'conv'"),
    ],
)
def test_a_module_that_is_not_there_is_named(
    run: Run, short: TrainingConfig, teacher: nn.Module, features: tuple[str], teacher_features: tuple[str], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        run(short, objective=Objective(lambda seen: seen.task_loss(), features, teacher, teacher_features))


def test_features_of_a_teacher_need_a_teacher() -> None:
    with pytest.raises(ValueError, match="there is no teacher"):
        Objective(lambda seen: seen.task_loss(), teacher_features=("conv1",))


def test_hooks_act_after_the_backward_pass_and_after_the_step_but_constraints_hold_all_the_same(
    run: Run, fresh: Callable[[], Subject], short: TrainingConfig
) -> None:
    said: list[str] = []
    weights: list[Tensor] = []

    def note(what: str) -> Callable[[nn.Module], None]:
        def act(model: nn.Module) -> None:
            said.append(what)
            weights.append(model.get_parameter("6.weight").detach().clone())

        return act

    @torch.no_grad()
    def spoil(model: nn.Module) -> None:
        model.get_parameter("6.weight").fill_(1.0)

    keep = torch.rand(10, 392, generator=torch.Generator().manual_seed(0)) > 0.5
    subject = fresh()
    subject.constraints.append(Mask("6.weight", keep))
    subject.enforce()
    hooks = [Hook(note("backward")), Hook(after_step=note("step")), Hook(note("second"), after_step=spoil)]
    trained = run(short, Limits(epochs=1, steps=1), subject=subject, hooks=hooks)
    assert said == ["backward", "second", "step"]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    assert torch.equal(trained.subject.model.get_parameter("6.weight"), keep.float())


def test_rates_for_a_parameter_that_is_not_there_are_refused(run: Run, short: TrainingConfig) -> None:
    with pytest.raises(ValueError, match=r"lr_factors has '\*.bia', which matches no parameter"):
        run(replace(short, lr_factors={"*.bia": 0.1}))
