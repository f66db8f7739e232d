"""A whole training: length, curve, randomness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from compressbench.core.data import Splits
from compressbench.core.objective import Hook
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.data.digits import Digits
from compressbench.training.autotuning import Setting
from compressbench.training.loop import train
from tests.training.trained import Run, same

TASK = Digits().task


def test_digits_are_learned(run: Run, short: TrainingConfig) -> None:
    trained = run(short)
    assert [entry["epoch"] for entry in trained.curve] == [1, 2, 3, 4]
    assert trained.curve[-1]["validation_top1"] > 0.9
    assert trained.curve[-1]["train_loss"] < trained.curve[0]["train_loss"] / 3
    assert trained.curve[-1]["lr"] == pytest.approx(0.1 / 10_000)
    assert set(trained.curve[0]) == {"epoch", "train_loss", "validation_loss", "validation_top1", "lr", "seconds"}
    assert not trained.subject.model.training


def test_validation_agrees_with_the_network_that_is_returned(run: Run, short: TrainingConfig, digits: Splits) -> None:
    trained = run(short)
    images, labels = next(digits.validation.batches(180))
    with torch.no_grad():
        right = trained.subject.model(images).argmax(1) == labels
    assert trained.curve[-1]["validation_top1"] == pytest.approx(float(right.float().mean()))


def test_the_same_seed_gives_the_same_bits_and_another_does_not(run: Run, short: TrainingConfig) -> None:
    first = run(short)
    torch.rand(100)
    assert same(first, run(short))
    assert not same(first, run(short, seed=4))


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_the_global_random_state_is_left_alone(run: Run, short: TrainingConfig, precision: str) -> None:
    run(replace(short, epochs=1))  # building the network seeds it
    before = torch.random.get_rng_state()
    run(replace(short, epochs=6, precision=precision), limits=Limits(steps=9))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_auto_trains_as_it_is_told_and_an_explicit_precision_as_it_says(run: Run, short: TrainingConfig) -> None:
    fast, once = Setting("bf16", "channels_last"), replace(short, epochs=1)
    auto = run(replace(once, precision="auto"), auto=str(fast))
    assert (auto.setting["precision"], auto.setting["layout"]) == ("bf16", "channels_last")
    plain = run(once, auto=str(fast))
    assert (plain.setting["precision"], plain.setting["layout"]) == ("fp32", "contiguous")
    assert same(plain, run(replace(once, precision="auto")))
    assert not same(plain, auto)


def test_limits_cut_epochs_and_steps_and_shrink_the_schedule(run: Run, short: TrainingConfig) -> None:
    trained = run(replace(short, epochs=100), limits=Limits(epochs=2, steps=3))
    assert len(trained.curve) == 2
    assert trained.curve[-1]["lr"] == pytest.approx(0.1 / 10_000)


def test_no_epochs_leave_the_network_as_it_is(run: Run, short: TrainingConfig, fresh: Callable[[], Subject]) -> None:
    trained = run(replace(short, epochs=0))
    assert trained.curve == []
    before = fresh().model.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.subject.model.state_dict().items())


def test_a_training_without_validation_images_has_a_curve_of_its_loss(run: Run, short: TrainingConfig) -> None:
    trained = run(short, validation=[])
    assert set(trained.curve[0]) == {"epoch", "train_loss", "lr", "seconds"}
    with pytest.raises(ValueError, match="no validation examples"):
        run(replace(short, select="best"), validation=[])


def test_best_returns_the_epoch_that_validated_best(run: Run, short: TrainingConfig, digits: Splits) -> None:
    calls = 0

    def unlearn_in_the_last_epoch(model: torch.nn.Module) -> None:
        nonlocal calls
        calls += 1
        if calls > 27:
            model.get_parameter("6.weight").grad.mul_(-50)

    constant = replace(short, schedule="constant", select="best")
    trained = run(constant, hooks=[Hook(after_backward=unlearn_in_the_last_epoch)])
    best = max(entry["validation_top1"] for entry in trained.curve)
    assert trained.curve[-1]["validation_top1"] < best
    images, labels = next(digits.validation.batches(180))
    with torch.no_grad():
        right = trained.subject.model(images).argmax(1) == labels
    assert float(right.float().mean()) == pytest.approx(best)


@pytest.mark.parametrize("setting", [("fp32", "channels_last"), ("bf16", "channels_last")])
def test_a_training_that_fails_leaves_the_network_plain(
    fresh: Callable[[], Subject],
    short: TrainingConfig,
    digits: Splits,
    steps: Any,
    killed: type[Exception],
    setting: tuple[str, str],
) -> None:
    subject, training = fresh(), replace(short, precision="auto")
    subject.model.get_parameter("0.bias").requires_grad_(False)
    state = torch.random.get_rng_state()
    data = (digits.train, digits.validation)
    auto = " ".join(setting)
    with pytest.raises(killed):
        train(subject, training, *data, task=TASK, seed=3, limits=Limits(), progress=steps(12), auto=auto)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(module.training for module in subject.model.modules())
    assert all(p.is_contiguous() and p.dtype == torch.float32 and p.grad is None for p in subject.model.parameters())
    assert [n for n, p in subject.model.named_parameters() if not p.requires_grad] == ["0.bias"]


def test_a_batch_larger_than_the_split_is_one_step_of_all_of_it(
    run: Run, short: TrainingConfig, digits: Splits
) -> None:
    whole = replace(short, epochs=1, batch_size=len(digits.train))
    assert same(run(replace(whole, batch_size=5000)), run(whole))


def test_a_split_without_images_is_refused(fresh: Callable[[], Subject], short: TrainingConfig, steps: Any) -> None:
    with pytest.raises(ValueError, match="there are no training examples"):
        train(fresh(), short, [], [], task=TASK, seed=0, limits=Limits(), progress=steps())  # type: ignore[arg-type]
