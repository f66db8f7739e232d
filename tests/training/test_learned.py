"""What an objective trains beside the network: by the same optimizer, in its precision, there again after a kill."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.errors import RunError
from compressbench.core.objective import Objective, Seen
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.training import loop
from tests.training.trained import Run, same

TARGET = torch.linspace(-1, 1, 5)


def regressing() -> Objective:
    """Return an objective whose regressor, a batch norm in it, has to find `TARGET` in the network's first layer."""
    torch.manual_seed(7)
    regressor = nn.Sequential(nn.Conv2d(8, 5, 1), nn.BatchNorm2d(5), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def loss(seen: Seen) -> Tensor:
        return seen.task_loss() + functional.mse_loss(regressor(seen.features["2"]).float(), TARGET.expand(128, 5))

    return Objective(loss, features=("2",), learned=regressor)


def weights(objective: Objective) -> dict[str, Tensor]:
    assert objective.learned is not None
    return copy.deepcopy(objective.learned.state_dict())


def alike(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_it_is_trained_by_the_settings_of_the_training(run: Run, short: TrainingConfig) -> None:
    """One step of SGD by hand: rate times gradient, the weight decay in it."""
    objective, plain = regressing(), replace(short, schedule="constant", lr=0.5, weight_decay=0.1)
    before = weights(objective)
    gradients: list[Tensor] = []

    def loss(seen: Seen) -> Tensor:
        found = objective.loss(seen)
        assert objective.learned is not None
        (gradient,) = torch.autograd.grad(found, [objective.learned.get_parameter("0.weight")], retain_graph=True)
        gradients.append(gradient)
        return found

    plain = replace(plain, nesterov=False, momentum=0.0)
    run(plain, Limits(epochs=1, steps=1), objective=replace(objective, loss=loss))
    expected = before["0.weight"] - 0.5 * (gradients[0] + 0.1 * before["0.weight"])
    assert torch.allclose(weights(objective)["0.weight"], expected, atol=1e-6)


def test_its_parameters_are_not_the_networks(run: Run, short: TrainingConfig) -> None:
    """No glob of `lr_factors` stands for them, and nothing of them stays in the network."""
    one, other = regressing(), regressing()
    trained = run(short, Limits(epochs=1), objective=one)
    run(replace(short, lr_factors={"*.weight": 0.0}), Limits(epochs=1), objective=other)
    assert trained.subject.model.state_dict().keys() == run(short, Limits(epochs=1)).subject.model.state_dict().keys()
    moved = [not torch.equal(weights(each)["0.weight"], weights(regressing())["0.weight"]) for each in (one, other)]
    assert moved == [True, True]
    with pytest.raises(ValueError, match="matches no parameter"):
        run(replace(short, lr_factors={"0.running*": 0.1}), objective=regressing())


def test_it_computes_in_the_precision_of_the_training_and_is_left_as_it_was_but_for_its_weights(
    run: Run, short: TrainingConfig
) -> None:
    objective, seen_types = regressing(), set[torch.dtype]()
    assert objective.learned is not None
    own = objective.learned.eval()

    def loss(seen: Seen) -> Tensor:
        assert own.training
        seen_types.add(own(seen.features["2"]).dtype)
        assert not torch.is_autocast_enabled("cpu")
        return objective.loss(seen)

    run(replace(short, precision="bf16"), Limits(epochs=1, steps=1), objective=replace(objective, loss=loss))
    assert seen_types == {torch.bfloat16}
    assert {parameter.dtype for parameter in own.parameters()} == {torch.float32}
    assert not own.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in own.modules())


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_killed_training_goes_on_with_it_to_the_same_bits(
    run: Run,
    short: TrainingConfig,
    killed: type[Exception],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    optimizer: str,
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    training = replace(short, optimizer=optimizer, lr=0.01, select="best", lr_factors={"0.*": 0.5})
    whole, again = regressing(), regressing()
    undisturbed = run(training, objective=whole)
    with pytest.raises(killed):
        run(training, objective=regressing(), checkpoint=tmp_path / "0", last=20)
    assert same(undisturbed, run(training, objective=again, checkpoint=tmp_path / "0"))
    assert alike(weights(whole), weights(again))
    assert not alike(weights(whole), weights(regressing()))
    finished = regressing()
    run(training, objective=finished, checkpoint=tmp_path / "0")
    assert alike(weights(whole), weights(finished)), "a training that is over gives it back as well"


def test_another_start_of_it_is_another_training(run: Run, short: TrainingConfig, tmp_path: Path) -> None:
    limits, other = Limits(epochs=1, steps=1), regressing()
    run(short, limits, objective=regressing(), checkpoint=tmp_path / "0")
    with torch.no_grad():
        next(iter(other.learned.parameters())).add_(1)  # type: ignore[union-attr]
    with pytest.warns(UserWarning, match="belongs to another training"):
        run(short, limits, objective=other, checkpoint=tmp_path / "0")


def test_beside_a_network_that_is_not_trained_it_is_trained_alone(
    run: Run, short: TrainingConfig, fresh: Callable[[], Subject]
) -> None:
    subject, objective = fresh(), regressing()
    subject.model.requires_grad_(False)
    before = subject.model[0].weight.clone()  # type: ignore[index, union-attr, operator]
    trained = run(short, objective=objective, subject=subject)
    assert trained.curve[-1]["train_loss"] < trained.curve[0]["train_loss"]
    assert torch.equal(trained.subject.model[0].weight, before)  # type: ignore[index, union-attr, arg-type]
    with pytest.raises(RunError):
        run(replace(short, lr=1e30), objective=regressing(), subject=subject)


def test_a_loss_is_told_how_much_of_the_training_is_done(run: Run, short: TrainingConfig) -> None:
    done: list[float] = []

    def loss(seen: Seen) -> Tensor:
        done.append(seen.done)
        return seen.task_loss()

    run(short, Limits(epochs=2, steps=2), objective=Objective(loss))
    assert done == [0.0, 0.25, 0.5, 0.75]
