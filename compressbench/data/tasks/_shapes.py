"""Whether a network's outputs have the shape that a task needs."""

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
