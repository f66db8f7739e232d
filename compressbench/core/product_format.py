"""The format of product quantization (Wu et al. 2016)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from compressbench.core.code_book import MOST_VALUES
from compressbench.core.levels import Array, Format, Levels, Shape, check_sizes


@dataclass(frozen=True)
class Product(Format):
    """Runs of `dimension` input channels at one kernel position are code words; each group of channels has its own
    code book, shared by rows and kernel positions (Wu et al. 2016)."""

    dimension: int

    whole_sides: ClassVar[int] = 1

    def levels(self, tensor: Array) -> Levels:
        return _code_words(tensor, self.dimension)

    def tensor(self, levels: Levels, shape: Shape) -> Array:
        assert levels.symbols is not None
        return _from_code_words(levels.symbols, levels.side, self.dimension, shape)

    def symbols_shape(self, shape: Shape, lengths: list[int], alphabet: int) -> Shape | None:
        check_sizes(len(shape) in (2, 4) and self.dimension >= 1, "product quantization is for matrices and kernels")
        check_sizes(math.prod(shape) > 0 and shape[1] % self.dimension == 0, "the dimension divides the input channels")
        groups = shape[1] // self.dimension
        check_sizes(len(lengths) == 2 and lengths[0] == groups, "there is a code book for each group of channels")
        check_sizes(lengths[1] % self.dimension == 0, "code words have the dimension")
        check_sizes(1 <= alphabet <= MOST_VALUES, f"a code book has {MOST_VALUES:,} words at most")
        return (groups, math.prod(shape) // shape[1])


def _code_words(tensor: Array, dimension: int) -> Levels:
    """Return for each group of input channels and each place the number of its code word.

    Places are rows, then kernel positions. side: how many words each group has, and the words, group after group.
    """
    if tensor.ndim not in (2, 4) or dimension < 1 or tensor.shape[1] % dimension:
        raise ValueError(f"its {list(tensor.shape)} cannot be split into runs of {dimension} input channels")
    if not tensor.size:
        raise ValueError("it is empty")
    groups = tensor.shape[1] // dimension
    runs: Array = np.moveaxis(tensor.reshape(len(tensor), groups, dimension, -1), (1, 3, 2), (0, 2, 3))
    runs = np.ascontiguousarray(runs).reshape(groups, -1, dimension).view(np.uint32)
    found = [np.unique(group, axis=0, return_inverse=True) for group in runs]
    counts = np.array([len(words) for words, _ in found], np.int32)
    if counts.max(initial=1) > MOST_VALUES:
        raise ValueError(f"it has more than {MOST_VALUES:,} different runs of {dimension} input channels")
    symbols = np.concatenate([inverse.ravel() for _, inverse in found]).astype(np.uint16)
    words = np.concatenate([words.view(np.float32).ravel() for words, _ in found])
    return Levels(symbols, int(counts.max(initial=1)), (groups, runs.shape[1]), [counts, words])


def _from_code_words(symbols: Array, side: list[Array], dimension: int, shape: Shape) -> Array:
    check_sizes(side[0].dtype == np.int32 and len(symbols) > 0, "its code books say in whole numbers how long they are")
    counts, words = side[0].astype(np.int64), side[1].reshape(-1, dimension)
    check_sizes((counts >= 1).all() and counts.sum() == len(words), "its code books have as many words as they say")
    places = symbols.reshape(len(counts), -1).astype(np.int64)
    check_sizes((places.max(axis=1, initial=0) < counts).all(), "its code words are in its code books")
    runs = words[places + (np.cumsum(counts) - counts)[:, None]]
    runs = runs.reshape(len(counts), shape[0], -1, dimension)
    return np.ascontiguousarray(np.moveaxis(runs, (0, 2, 3), (1, 3, 2))).reshape(shape)
