"""Formats of weights whose zeros lie in a pattern: n of every m stay, or whole blocks.

Both see a tensor as a matrix: a row for each output channel; in it the input channels side by side, those of one
kernel position after those of another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np

from compressbench.core.levels import Array, Format, Levels, Shape, check_sizes

LARGEST_GROUP = 16
"""Of 16 weights 8 can be chosen in 12,870 ways, which are the symbols."""


@dataclass(frozen=True)
class NOfM(Format):
    """At most `n` of every `m` neighbouring input channels are other than zero: one symbol a group says which, of the
    m! / (n! (m - n)!) ways there are (6 for 2:4), and n values follow, whatever they are."""

    n: int
    m: int

    def levels(self, tensor: Array) -> Levels:
        if fault := self.fault(tensor.shape):
            raise ValueError(fault)
        groups = matrix_of(tensor).reshape(-1, self.m)
        present = groups != 0
        if (present.sum(axis=1) > self.n).any():
            raise ValueError(f"it has more than {self.n} weights other than zero among {self.m} neighbours")
        ways = _ways(self.n, self.m)
        number = np.zeros(1 << self.m, np.uint16)
        number[(1 << ways).sum(axis=1)] = np.arange(len(ways))
        stored = np.sort(np.argsort(~present, axis=1, kind="stable")[:, : self.n], axis=1)  # zeros fill up
        symbols = number[(1 << stored).sum(axis=1)]
        values = np.take_along_axis(groups, stored, axis=1).ravel()
        return Levels(symbols, len(ways), (len(tensor), math.prod(tensor.shape[1:]) // self.m), [values])

    def tensor(self, levels: Levels, shape: Shape) -> Array:
        assert levels.symbols is not None
        groups = np.zeros((len(levels.symbols), self.m), np.float32)
        np.put_along_axis(groups, _ways(self.n, self.m)[levels.symbols], levels.side[0].reshape(-1, self.n), axis=1)
        return tensor_of(groups, shape)

    def symbols_shape(self, shape: Shape, lengths: list[int], alphabet: int) -> Shape | None:
        check_sizes(1 <= self.n < self.m <= LARGEST_GROUP, f"n is less than m, which is {LARGEST_GROUP} at most")
        check_sizes(not self.fault(shape), "m divides the input channels of a matrix or kernels")
        groups = math.prod(shape) // self.m
        check_sizes(lengths == [groups * self.n], f"there are {self.n} values for each group of {self.m}")
        check_sizes(alphabet == math.comb(self.m, self.n), "there is a symbol for each way to choose n of m")
        return (shape[0], math.prod(shape[1:]) // self.m)

    def fault(self, shape: Shape) -> str:
        """Return why a tensor of this shape has no such groups, or nothing."""
        if len(shape) < 2 or not shape[1]:
            return "it has no input channels"
        return f"its {shape[1]} input channels are no multiple of {self.m}" if shape[1] % self.m else ""


@dataclass(frozen=True)
class Blocks(Format):
    """Blocks of `rows` output channels by `columns` neighbouring input channels that are zero as a whole, or stored as
    a whole: a bit a block, then the elements of those that are there."""

    rows: int
    columns: int

    def levels(self, tensor: Array) -> Levels:
        if fault := self.fault(tensor.shape):
            raise ValueError(fault)
        blocks = self.blocks_of(matrix_of(tensor))
        present = (blocks != 0).any(axis=(2, 3))
        return Levels(present.ravel().astype(np.uint8), 2, present.shape, [blocks[present].ravel()])

    def tensor(self, levels: Levels, shape: Shape) -> Array:
        assert levels.symbols is not None
        present, size = levels.symbols.astype(bool), self.rows * self.columns
        check_sizes(np.count_nonzero(present) * size == len(levels.side[0]), "its bits say how many blocks there are")
        blocks = np.zeros((len(present), self.rows, self.columns), np.float32)
        blocks[present] = levels.side[0].reshape(-1, self.rows, self.columns)
        high, wide = shape[0] // self.rows, math.prod(shape[1:]) // self.columns
        return tensor_of(blocks.reshape(high, wide, self.rows, self.columns).swapaxes(1, 2), shape)

    def symbols_shape(self, shape: Shape, lengths: list[int], alphabet: int) -> Shape | None:
        check_sizes(self.rows >= 1 and self.columns >= 1, "a block has a row and a column at least")
        check_sizes(not self.fault(shape), "blocks divide the channels of a matrix or kernels")
        fits = len(lengths) == 1 and lengths[0] <= math.prod(shape) and alphabet == 2
        check_sizes(fits, "there are a bit for each block and the elements of some")
        return (shape[0] // self.rows, math.prod(shape[1:]) // self.columns)

    def fault(self, shape: Shape) -> str:
        """Return why a tensor of this shape has no such blocks, or nothing."""
        if len(shape) < 2 or not shape[1]:
            return "it has no input channels"
        if shape[0] % self.rows:
            return f"its {shape[0]} output channels are no multiple of {self.rows}"
        return f"its {shape[1]} input channels are no multiple of {self.columns}" if shape[1] % self.columns else ""

    def blocks_of(self, matrix: Array) -> Array:
        """Return the blocks of a matrix, (down, across, rows, columns)."""
        high, wide = matrix.shape[0] // self.rows, matrix.shape[1] // self.columns
        return matrix.reshape(high, self.rows, wide, self.columns).swapaxes(1, 2)


@cache
def _ways(n: int, m: int) -> Array:
    """Return the places of n of m, ascending, one way a row, in the order of the dictionary."""
    return np.array(list(combinations(range(m), n)), np.int64)


def matrix_of(tensor: Array) -> Array:
    """Return a tensor as the matrix in which patterns lie: columns are kernel positions, then input channels."""
    rows, channels = tensor.shape[:2]
    places = math.prod(tensor.shape[2:])
    return tensor.reshape(rows, channels, places).swapaxes(1, 2).reshape(rows, places * channels)


def tensor_of(matrix: Array, shape: Shape) -> Array:
    """Return the tensor of that shape of which this is the matrix, in whatever shape its elements stand."""
    rows, channels = shape[:2]
    whole = matrix.reshape(rows, math.prod(shape[2:]), channels).swapaxes(1, 2)
    return np.ascontiguousarray(whole).reshape(shape)
