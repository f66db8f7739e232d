"""Whether tensors have the shape, and hold the numbers, that a task needs."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def wrong_shape(outputs: Any, expected: tuple[int, ...], meaning: str) -> str | None:
    """Return why outputs are no tensor of this shape, or None. meaning: of the tensor, in words."""
    if not isinstance(outputs, Tensor):
        return f"gives a {type(outputs).__name__}, not a tensor; {list(expected)} is needed, {meaning}"
    if outputs.shape != expected:
        return f"gives {list(outputs.shape)} for a batch of {expected[0]}; {list(expected)} is needed, {meaning}"
    return None


def out_of_vocabulary(numbers: Tensor, count: int, meaning: str) -> str | None:
    """Return which of the numbers are not from 0 to below `count`, or None. meaning: of a number, in words."""
    if not numbers.numel():
        return None
    least, most = (int(each) for each in numbers.aminmax())
    if least >= 0 and most < count:
        return None
    return f"holds the {meaning} {least if least < 0 else most}; allowed: 0 to {count - 1}"
