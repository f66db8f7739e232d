"""The one thing to do with a packed file from Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from compressbench.core.preprocessing import Preprocessing


def load(path: str | Path) -> nn.Module:
    """Return the network of a packed file (`.cbp`), in evaluation mode: bit for bit the weights that were measured.

    Two attributes say how to use it. `preprocess(pictures)` makes what it takes (see `Preprocess`). `classes` is a list
    of what its outputs are called, None if the file does not say.
    No code of the file is run. Raises `compressbench.packing.container.PackedFileError`, a ValueError, for anything
    that is no packed file, or a damaged one.
    """
    from compressbench.packing.feeding import classes_of, preprocessing_of
    from compressbench.packing.packed_file import note, read  # imports torch

    subject, noted = read(Path(path)), note(Path(path))
    model: Any = subject.model
    try:
        model.preprocess = Preprocess(preprocessing_of(noted))
    except ValueError as error:  # a network without it is as good for whoever makes the inputs
        model.preprocess = Preprocess(None, str(error))
    model.classes = classes_of(noted, subject.architecture.arguments)
    return subject.model


@dataclass(frozen=True)
class Preprocess:
    """Makes float32 (N, C, H, W) from pictures, as they were made for what the network was measured on.

    how: size, mean, std and all other steps. None, with the reason in `missing`: the file does not say.
    """

    how: Preprocessing | None
    missing: str = ""

    def __call__(self, pictures: Any) -> Tensor:
        """Return pictures of any size as what the network takes, on the CPU.

        pictures: a path, a PIL picture, a uint8 array (H, W), (H, W, C) or (N, H, W, C), a uint8 tensor (C, H, W) or
        (N, C, H, W), or a list of them; C is 1 (grey), 3 (red, green, blue) or 4 (and opacity, which is left out).
        ValueError for anything else (pixels that are no uint8 above all: nothing is guessed), and if the file does not
        say how.
        """
        if self.how is None:
            raise ValueError(self.missing)
        from compressbench.data.preparing import prepared

        return prepared(pictures, self.how)
