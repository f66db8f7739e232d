"""One epoch: what happens at every step, and what stops it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.constraint import Mask
from compressbench.core.data import Splits
from compressbench.core.errors import RunError
from compressbench.core.objective import Hook
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.data.digits import Digits
from compressbench.training.loop import Trained, train

TASK = Digits().task


@pytest.fixture
def run(digits: Splits, steps: Any) -> Callable[..., Trained]:
    def run(subject: Subject, training: TrainingConfig, **others: Any) -> Trained:
        return train(
            subject,
            training,
            digits.train,
            digits.validation,
            task=TASK,
            seed=3,
            limits=Limits(),
            progress=steps(),
            **others,
        )

    return run


def test_one_step_is_gradient_descent_by_hand(digits: Splits, steps: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(1024, 10))
    weight = model[1].weight.detach().clone().requires_grad_()
    bias = model[1].bias.detach().clone().requires_grad_()
    images, labels = next(digits.train.batches(len(digits.train)))
    whole = TrainingConfig(
        1, len(digits.train), 0.5, "sgd", "constant", weight_decay=0.01, momentum=0.0, precision="fp32"
    )
    loss = functional.cross_entropy(images.flatten(1) @ weight.T + bias, labels)
    loss.backward()
    subject = Subject(model, None)  # type: ignore[arg-type]
    trained = train(
        subject, whole, digits.train, digits.validation, task=TASK, seed=0, limits=Limits(), progress=steps()
    )
    assert weight.grad is not None
    assert torch.allclose(model[1].weight, weight - 0.5 * (weight.grad + 0.01 * weight), atol=1e-6)
    assert trained.curve[0]["train_loss"] == pytest.approx(float(loss.detach()), rel=1e-5)


def test_masks_hold_after_training_with_momentum(
    run: Callable[..., Trained], fresh: Callable[[], Subject], short: TrainingConfig
) -> None:
    subject = fresh()
    keep = torch.rand(10, 392, generator=torch.Generator().manual_seed(0)) > 0.9
    subject.constraints.append(Mask("6.weight", keep))
    trained = run(subject, short)
    weight = trained.subject.model.get_parameter("6.weight")
    assert trained.subject.constraints[0].holds(trained.subject.model)
    assert torch.equal(weight != 0, keep)


def test_a_penalty_acts_on_the_gradients_before_every_step(
    run: Callable[..., Trained], fresh: Callable[[], Subject], short: TrainingConfig
) -> None:
    calls = 0

    def freeze(model: nn.Module) -> None:
        nonlocal calls
        calls += 1
        model.get_parameter("6.weight").grad = None

    subject = fresh()
    before = subject.model.get_parameter("6.weight").detach().clone()
    run(subject, short, hooks=[Hook(after_backward=freeze)])
    assert calls == 4 * 9  # 1,257 images make 9 batches of 128
    assert torch.equal(subject.model.get_parameter("6.weight"), before)


def test_frozen_parameters_stay(
    run: Callable[..., Trained], fresh: Callable[[], Subject], short: TrainingConfig
) -> None:
    subject = fresh()
    subject.model.get_parameter("0.weight").requires_grad_(False)
    before = subject.model.get_parameter("0.weight").clone()
    run(subject, short)
    assert torch.equal(subject.model.get_parameter("0.weight"), before)


@pytest.mark.parametrize("broken", ["loss", "weights"])
def test_not_a_number_stops_with_epoch_and_learning_rate(
    run: Callable[..., Trained], fresh: Callable[[], Subject], short: TrainingConfig, broken: str
) -> None:
    calls = 0

    def poison(model: nn.Module) -> None:
        nonlocal calls
        calls += 1
        # In the second epoch: a weight that every later loss sees, or in the last step, which no loss sees.
        if calls == (12 if broken == "loss" else 18):
            with torch.no_grad():
                model.get_parameter("6.weight").fill_(float("nan"))

    with pytest.raises(RunError, match=r"epoch 2, at a learning rate of 0\.0\d+$"):
        run(fresh(), short, hooks=[Hook(after_backward=poison)])


def test_a_loss_that_explodes_is_found_before_the_epoch_ends(fresh: Callable[[], Subject], steps: Any) -> None:
    class Endless:
        """A long epoch of images that are no numbers."""

        given = 0

        def __len__(self) -> int:
            return 10_000

        def batches(self, size: int, generator: torch.Generator | None = None) -> Iterator[tuple[Tensor, Tensor]]:
            for _ in range(10_000 // size):
                self.given += 1
                yield torch.full((size, 1, 32, 32), float("nan")), torch.zeros(size, dtype=torch.int64)

    split = Endless()
    training = TrainingConfig(1, 4, 0.1, "sgd", "constant", 0.0, precision="fp32")
    with pytest.raises(RunError, match="loss is nan in epoch 1"):
        train(fresh(), training, split, split, task=TASK, seed=0, limits=Limits(), progress=steps())
    assert split.given == 50


def test_training_reports_every_step_and_where_it_is(
    digits: Splits, fresh: Any, short: TrainingConfig, steps: Any
) -> None:
    progress = steps()
    train(fresh(), short, digits.train, digits.validation, task=TASK, seed=3, limits=Limits(), progress=progress)
    assert progress.done == progress.total == 36
    assert progress.notes[0] == "epoch 1/4"
    assert progress.notes[-1].startswith("epoch 4/4, loss 0.")
    assert "validation 9" in progress.notes[-1]


def test_bf16_learns_what_fp32_learns(run: Callable[..., Trained], fresh: Any, short: TrainingConfig) -> None:
    full = run(fresh(), short).curve[-1]
    half = run(fresh(), replace(short, precision="bf16")).curve[-1]
    assert full["validation_top1"] > 0.9
    assert half["validation_top1"] == pytest.approx(full["validation_top1"], abs=0.03)
    assert half["train_loss"] == pytest.approx(full["train_loss"], abs=0.03)
    assert half["train_loss"] != full["train_loss"]
