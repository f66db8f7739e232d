"""Formats: how a tensor is to be stored in the file whose length is the size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch


class Format(Protocol):
    """How one tensor is stored. `fits` says whether storing `tensor` this way loses nothing."""

    def fits(self, tensor: torch.Tensor) -> bool: ...


@dataclass(frozen=True)
class Dense:
    """Every element, in the tensor's own dtype."""

    def fits(self, tensor: torch.Tensor) -> bool:
        return True


@dataclass(frozen=True)
class Sparse:
    """One bit an element for where the non-zeros are, then the non-zeros in row-major order."""

    def fits(self, tensor: torch.Tensor) -> bool:
        return tensor.numel() > 0


FORMATS: dict[str, type] = {"Dense": Dense, "Sparse": Sparse}
"""The formats a file may name, by class name."""
