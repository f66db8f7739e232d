"""How many bytes a shared value takes in the file."""

from __future__ import annotations

import torch
from torch import Tensor

FP16 = "fp16"
PRECISIONS = ("fp32", FP16)


def rounded(values: Tensor, precision: str) -> Tensor:
    """Return the nearest values that the precision has, as float32. ValueError if one is too large for it."""
    if precision != FP16:
        return values
    halves = values.half()
    if not torch.isfinite(halves).all():
        largest = torch.finfo(torch.float16).max
        raise ValueError(f"centroid_precision is {FP16!r}, which ends at {largest:,.0f}; a weight is larger")
    return halves.float()
