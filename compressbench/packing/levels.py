"""Tensors as integers and back, by their formats; what every format has in common is seen to here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from compressbench.core.format import Dense, Format
from compressbench.core.levels import Array, Levels, Shape

__all__ = ["Array", "Levels", "Shape", "from_levels", "to_levels"]


def to_levels(tensor: Array, form: Format) -> Levels:
    """Return what is stored of a tensor. ValueError if the format cannot say its values exactly."""
    if isinstance(form, Dense):
        return form.levels(tensor)
    if tensor.dtype != np.float32:
        raise ValueError(f"a tensor of {tensor.dtype} is stored dense; formats are for float32")
    return form.levels(tensor + np.float32(0))  # a masked negative weight is a negative zero; the file knows one zero


def from_levels(levels: Levels, form: Format, shape: Shape, dtype: npt.DTypeLike) -> Array:
    """Return the tensor. The sizes were checked by `sizes`; ValueError for what only the content can tell."""
    found = form.tensor(levels, shape)
    if isinstance(form, Dense) and levels.symbols is not None:
        found = found.astype(dtype)
    if found.shape != tuple(shape) or found.dtype != dtype:
        raise ValueError(f"{type(form).__name__} makes a tensor of {list(found.shape)} {found.dtype} of it")
    return found
