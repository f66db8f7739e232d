"""Trainings that can be compared to the last bit."""

from __future__ import annotations

from collections.abc import Callable

import torch

from compressbench.training.loop import Trained

Run = Callable[..., Trained]


def same(one: Trained, other: Trained) -> bool:
    """Return whether weights, statistics and curves agree to the last bit."""
    theirs = other.subject.model.state_dict()
    equal = [torch.equal(tensor, theirs[name]) for name, tensor in one.subject.model.state_dict().items()]
    return all(equal) and without_seconds(one) == without_seconds(other)


def without_seconds(trained: Trained) -> list[dict[str, float]]:
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in trained.curve]
