"""The one thing to do with a packed file from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def load(path: str | Path) -> nn.Module:
    """Return the network of a packed file (`.cbp`), in evaluation mode: bit for bit the weights that were measured.

    No code of the file is run. Raises `compressbench.packing.container.PackedFileError`, a ValueError, for anything
    that is no packed file, or a damaged one.
    """
    from compressbench.packing.packed_file import read  # imports torch

    return read(Path(path)).model
