"""Arrays as bytes: torch's dtypes by name, numpy's in between, little-endian on the disk."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[Any]

DTYPES: dict[str, tuple[type[np.generic], torch.dtype]] = {
    "float32": (np.float32, torch.float32),
    "float64": (np.float64, torch.float64),
    "float16": (np.float16, torch.float16),
    "bfloat16": (np.uint16, torch.bfloat16),  # numpy has none: its bits
    "int64": (np.int64, torch.int64),
    "int32": (np.int32, torch.int32),
    "int16": (np.int16, torch.int16),
    "int8": (np.int8, torch.int8),
    "uint8": (np.uint8, torch.uint8),
    "bool": (np.bool_, torch.bool),
}
"""What a file may name: numpy's type of the same bits, and torch's."""

assert sys.byteorder == "little", "packed files are little-endian, and so must be the machine"


def name_of(tensor: torch.Tensor) -> str:
    """Return the name of a tensor's dtype. ValueError for one that files do not know."""
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(f"a tensor of {tensor.dtype} cannot be stored")
    return name


def to_numpy(tensor: torch.Tensor) -> Array:
    """Return a tensor's values, contiguous; of bfloat16 the bits."""
    tensor = tensor.detach().cpu().contiguous()
    array: Array = tensor.view(torch.int16).numpy().view(np.uint16) if name_of(tensor) == "bfloat16" else tensor.numpy()
    return array


def to_torch(array: Array, dtype: str) -> torch.Tensor:
    """Return the tensor an array holds; it shares no memory with a file's bytes."""
    tensor = torch.from_numpy(array.copy() if not array.flags.writeable else array)
    return tensor.view(torch.int16).view(torch.bfloat16) if dtype == "bfloat16" else tensor


def narrowest(side: Array) -> tuple[str, Array]:
    """Return the name of the narrowest dtype that holds every value exactly, and the array in the wide one."""
    if side.dtype == np.int32:
        return next((name, side) for name in ("uint8", "int16", "int32") if _holds(side, DTYPES[name][0]))
    assert side.dtype == np.float32, side.dtype
    bits = side.view(np.uint32)
    if not (bits & 0xFFFF).any():
        return "bfloat16", side
    return ("float16" if _holds(side, np.float16) else "float32"), side


def _holds(side: Array, kind: type[np.generic]) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.array_equal(side.astype(kind).astype(side.dtype).view(np.uint8), side.view(np.uint8))


def to_bytes(array: Array, dtype: str) -> bytes:
    """Return a one-dimensional array's bytes in the named dtype, which holds its values exactly."""
    if dtype == "bfloat16" and array.dtype == np.float32:
        return (array.view(np.uint32) >> np.uint32(16)).astype(np.uint16).tobytes()
    return array.astype(DTYPES[dtype][0], copy=False).tobytes()


def from_bytes(content: memoryview, dtype: str) -> Array:
    """Return the array of the named dtype that bytes hold. ValueError for truth values that are neither 0 nor 1."""
    if dtype == "bool" and np.frombuffer(content, np.uint8).max(initial=0) > 1:
        raise ValueError("a truth value is neither 0 nor 1")
    return np.frombuffer(content, DTYPES[dtype][0])


def widened(array: Array, dtype: str) -> Array:
    """Return what `narrowest` narrowed, as float32 or int32. ValueError for another dtype than it names."""
    if dtype == "bfloat16":
        return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if dtype in ("float16", "float32"):
        return array.astype(np.float32)
    if dtype in ("uint8", "int16", "int32"):
        return array.astype(np.int32)
    raise ValueError(f"a side array cannot be of {dtype}")


def length_of(dtype: str, count: int) -> int:
    """Return how many bytes so many values take. KeyError for an unknown name."""
    return int(np.dtype(DTYPES[dtype][0]).itemsize) * count
