"""A training with impossible numbers is refused, naming key, value and what is allowed."""

from typing import Any

import pytest

from compressbench.core.training import TrainingConfig

GOOD: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 1,
    "lr": 0.1,
    "optimizer": "sgd",
    "schedule": "steps",
    "weight_decay": 0.0,
}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("epochs", -1, "0 or more"),
        ("batch_size", 0, "1 or more"),
        ("lr", 0.0, "more than 0"),
        ("lr", float("nan"), "more than 0"),
        ("weight_decay", -0.1, "0 or more"),
        ("momentum", 1.0, "less than 1"),
        ("gamma", 0.0, "more than 0"),
        ("milestones", [0.5, 1.5], "between 0 and 1"),
        ("optimizer", "sdg", "did you mean 'sgd'"),
        ("schedule", "step", "did you mean 'steps'"),
        ("precision", "fp16", "did you mean"),
        ("select", "first", "allowed: best, last"),
        ("final_lr", 0.2, "0 to lr, which is 0.1"),
    ],
)
def test_a_value_out_of_range_says_what_is_allowed(key: str, value: object, said: str) -> None:
    with pytest.raises(ValueError, match=f"{key} is .*{said}"):
        TrainingConfig(**{**GOOD, key: value})


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ValueError, match="nesterov"):
        TrainingConfig(**GOOD, nesterov=True, momentum=0.0)


def test_an_exponential_schedule_needs_a_rate_to_end_at() -> None:
    with pytest.raises(ValueError, match="schedule is 'exponential', but final_lr is 0"):
        TrainingConfig(**{**GOOD, "schedule": "exponential"})
