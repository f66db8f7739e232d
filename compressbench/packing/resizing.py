"""Layers of other people's types whose sizes a technique changed: the file says the new ones, and builds nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

RESIZED = "resized"
"""Stands for the type of such a layer in a file."""


def resized(ours: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the plain attributes in which two modules of one type differ, or None if any of these is no size."""
    if ours.keys() != before.keys():
        return None
    found = {name: value for name, value in ours.items() if value != before[name]}
    alike = all(_is_size(value) and type(value) is type(before[name]) for name, value in found.items())
    return (
        {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()} if alike else None
    )


def resize(module: nn.Module, name: str, sizes: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Give a module other sizes, in place, and its own tensors the shapes they have in the file, without memory.

    shapes: of the file's tensors, by name. ValueError for an attribute that is none of its sizes.
    """
    for key, value in sizes.items():
        new = tuple(value) if isinstance(value, list) else value
        old = vars(module).get(key)
        if key.startswith("_") or not _is_size(new) or type(old) is not type(new) or not _is_size(old):
            raise ValueError(f"{key!r} is no size of {name}")
        setattr(module, key, new)
    for key, tensor in (*module._parameters.items(), *module._buffers.items()):
        shape = shapes.get(f"{name}.{key}")
        if tensor is None or shape is None or shape == tuple(tensor.shape):
            continue
        if len(shape) != tensor.dim():
            raise ValueError(f"{name}.{key} has another number of dimensions")
        made = torch.empty(shape, dtype=tensor.dtype, device="meta")
        setattr(module, key, nn.Parameter(made, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else made)


def _is_size(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_size, value))
    return type(value) is int and value >= 0
