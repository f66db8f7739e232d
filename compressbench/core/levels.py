"""Levels: a tensor as integers for a coder, and what stands beside them. Format: what turns a tensor into them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Array: TypeAlias = "npt.NDArray[Any]"
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Levels:
    """symbols: flat, 0 to alphabet - 1; symbol 0 is the zero where there are zeros. shape: how the symbols lie, for a
    coder that models rows and columns. side: arrays stored as they are (code books, scales, floats)."""

    symbols: Array | None = None
    alphabet: int = 0
    shape: Shape = ()
    side: list[Array] = field(default_factory=list)


class Format(ABC):
    """How a tensor is stored: a frozen dataclass of whole numbers. It owns its symbols.

    A format is a view. Everything else (the codebook, the scales, where the zeros are) is read off the tensor, whose
    values must be exactly what the format can say; a tensor that is not is an error when it is written, never rounded.

    What is read may be hostile: `symbols_shape` is asked first, with sizes that a file only claims, and nothing is
    decoded unless it agrees; `tensor` is given symbols below the alphabet in that shape and side arrays of those
    lengths, and must raise ValueError for whatever else cannot be. Time and memory go with the sizes, not the numbers.

    whole_sides: how many of the first side arrays hold whole numbers; the others hold float32.
    """

    whole_sides: ClassVar[int] = 0

    @abstractmethod
    def levels(self, tensor: Array) -> Levels:
        """Return what is stored of a float32 tensor without negative zeros. ValueError if its values cannot be said."""

    @abstractmethod
    def tensor(self, levels: Levels, shape: Shape) -> Array:
        """Return the float32 tensor of that shape again. ValueError for what only the content can tell."""

    @abstractmethod
    def symbols_shape(self, shape: Shape, lengths: list[int], alphabet: int) -> Shape | None:
        """Return the shape of the symbols of a tensor of `shape`, None if it has none. lengths: of the side arrays.
        ValueError if they, the alphabet or the format's own numbers cannot be right."""


def check_sizes(right: bool | np.bool_, rule: str) -> None:
    """Raise ValueError, saying the rule, unless it is kept."""
    if not right:
        raise ValueError(f"its sizes do not fit: {rule}")
