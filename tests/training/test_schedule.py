"""The learning rate of every step, against values by hand and against torch's own schedulers."""

from __future__ import annotations

import math

import pytest
import torch

from compressbench.core.training import TrainingConfig
from compressbench.training.schedule import learning_rate


def training(schedule: str, epochs: int = 160, lr: float = 0.1, **others: object) -> TrainingConfig:
    return TrainingConfig(epochs, 128, lr, "sgd", schedule, 0.0, **others)  # type: ignore[arg-type]


def test_constant_never_changes() -> None:
    assert {learning_rate(training("constant"), step, 400, 10) for step in range(400)} == {0.1}


@pytest.mark.parametrize(("epoch", "lr"), [(0, 0.1), (79, 0.1), (80, 0.01), (119, 0.01), (120, 0.001), (159, 0.001)])
def test_steps_divides_by_ten_at_half_and_at_three_quarters(epoch: int, lr: float) -> None:
    for step in (0, 389):
        assert learning_rate(training("steps"), epoch * 390 + step, 160 * 390, 390) == pytest.approx(lr)


def test_a_milestone_inside_an_epoch_waits_for_the_next_one() -> None:
    # 0.75 of 30 epochs is 22.5: the 23rd epoch (number 22) is still trained at 0.01, the next one at 0.001.
    rates = [learning_rate(training("steps", 30), epoch * 10 + 9, 300, 10) for epoch in (14, 15, 22, 23)]
    assert rates == pytest.approx([0.1, 0.01, 0.01, 0.001])


def test_a_milestone_that_floats_cannot_say_is_passed_at_its_epoch() -> None:
    # 0.7 * 10 is 7.000000000000001 in floating point.
    assert learning_rate(training("steps", 10, milestones=[0.7]), 70, 100, 10) == pytest.approx(0.01)


def test_cosine_is_the_peak_then_half_then_nearly_nothing() -> None:
    rates = [learning_rate(training("cosine"), step, 100, 10) for step in (0, 50, 99)]
    assert rates == pytest.approx([0.1, 0.05, 0.05 * (1 + math.cos(0.99 * math.pi))])


def test_one_cycle_starts_low_peaks_at_30_percent_and_ends_at_a_ten_thousandth() -> None:
    rates = [learning_rate(training("one_cycle"), step, 100, 10) for step in range(100)]
    assert rates[0] == pytest.approx(0.1 / 25)
    assert rates[29] == max(rates) == pytest.approx(0.1)
    assert rates[99] == pytest.approx(0.1 / 10_000)
    # Half of the way up and down: step 14.5 of 29, step 29 + 35 of 29 + 70.
    assert (rates[14] + rates[15]) / 2 == pytest.approx((0.1 + 0.1 / 25) / 2)
    assert rates[64] == pytest.approx((0.1 + 0.1 / 10_000) / 2)


def test_one_cycle_is_the_one_of_torch_but_for_its_end() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    # Its end is lr / 25 / final_div_factor; ours is lr / 10,000.
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=73, final_div_factor=400)
    for step in range(73):
        assert learning_rate(training("one_cycle"), step, 73, 10) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < 72:
            theirs.step()


@pytest.mark.parametrize("total", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("schedule", ["constant", "steps", "one_cycle", "cosine"])
def test_a_training_of_few_steps_has_a_positive_rate_at_each(schedule: str, total: int) -> None:
    rates = [learning_rate(training(schedule), step, total, 1) for step in range(total)]
    assert all(0 < rate <= 0.1 for rate in rates)
    assert max(rates) > 0.05


def test_cosine_ends_at_the_final_rate() -> None:
    rates = [learning_rate(training("cosine", final_lr=0.02), step, 1000, 10) for step in (0, 500, 999)]
    assert rates == pytest.approx([0.1, 0.06, 0.02], abs=1e-5)


def test_exponential_falls_by_the_same_factor_after_every_epoch() -> None:
    # The BNN authors' 500 epochs from 0.001 to 3e-7: a factor of (3e-4)^(1/500) = 0.98391 an epoch.
    bnn = training("exponential", 500, lr=0.001, final_lr=3e-7)
    rates = [learning_rate(bnn, epoch * 10 + step, 5000, 10) for epoch in range(500) for step in (0, 9)]
    assert rates[::2] == rates[1::2]
    assert rates[0] == pytest.approx(0.001)
    assert [after / before for before, after in zip(rates[::2], rates[2::2], strict=False)] == pytest.approx(
        [0.98391] * 499, rel=1e-5
    )
    assert rates[-1] * 0.98391 == pytest.approx(3e-7, rel=1e-4)
