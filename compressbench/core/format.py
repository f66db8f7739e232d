"""Formats: how a tensor is to be stored in the file whose length is the size."""

from __future__ import annotations

import math
from dataclasses import dataclass, is_dataclass

import numpy as np

from compressbench.core.code_book import indices
from compressbench.core.dotted import dotted_path, locate
from compressbench.core.hashing import places
from compressbench.core.levels import Array, Format, Levels, Shape, check_sizes
from compressbench.core.number_formats import FixedPoint, PowerOfTwo, unzigzag, zigzag
from compressbench.core.pattern_format import Blocks, NOfM
from compressbench.core.product_format import Product
from compressbench.core.uniform_format import Uniform

__all__ = [
    "FORMATS",
    "PRUNED",
    "Binary",
    "Blocks",
    "Codebook",
    "Coding",
    "Dense",
    "FixedPoint",
    "Format",
    "Hashed",
    "NOfM",
    "PowerOfTwo",
    "Product",
    "Sparse",
    "Uniform",
]


@dataclass(frozen=True)
class Dense(Format):
    """Every element, in the tensor's own dtype; 8-bit integers go through a coder."""

    def levels(self, tensor: Array) -> Levels:
        if tensor.dtype not in (np.int8, np.uint8):
            return Levels(side=[tensor.ravel()])
        flat = tensor.ravel()
        signed = flat.astype(np.int32) if tensor.dtype == np.int8 else flat.view(np.int8).astype(np.int32)
        return Levels(zigzag(signed).astype(np.uint8), 256, tensor.shape)

    def tensor(self, levels: Levels, shape: Shape) -> Array:
        """Return the elements; integers as int32, of which the dtype's 8 bits count."""
        found = levels.side[0] if levels.symbols is None else unzigzag(levels.symbols)
        return found.reshape(shape)

    def symbols_shape(self, shape: Shape, lengths: list[int], alphabet: int) -> Shape | None:
        if alphabet:
            check_sizes(not lengths and alphabet == 256, "8-bit integers have 256 symbols and no side information")
            return shape
        count = math.prod(shape)
        check_sizes(lengths == [count], f"a dense tensor has its {count} elements alone")
        return None


@dataclass(frozen=True)
class Sparse(Format):
    """Where the non-zeros are, then the non-zeros in row-major order, in the tensor's own dtype."""

    def levels(self, tensor: Array) -> Levels:
        flat = tensor.ravel()
        present = flat != 0
        return Levels(present.astype(np.uint8), 2, tensor.shape, [flat[present]])

    def tensor(self, levels: Levels, shape: Shape) -> Array:
        assert levels.symbols is not None
        present = levels.symbols.astype(bool)
        check_sizes(np.count_nonzero(present) == len(levels.side[0]), "a mask says how many non-zeros there are")
        flat = np.zeros(len(levels.symbols), np.float32)
        flat[present] = levels.side[0]
        return flat.reshape(shape)

    def symbols_shape(self, shape: Shape, lengths: list[int], alphabet: int) -> Shape | None:
        fits = len(lengths) == 1 and lengths[0] <= math.prod(shape) and alphabet == 2
        check_sizes(fits, "there are a mask and its non-zeros")
        return shape


@dataclass(frozen=True)
class Codebook(Format):
    """At most 2^bits different values beside zero: one index an element, and the values (Han et al. 2016)."""

    bits: int

    def levels(self, tensor: Array) -> Levels:
        symbols, values, zeros = indices(tensor.ravel())
        if len(values) > 2**self.bits:
            raise ValueError(f"it has {len(values)} different values beside zero; {self.bits} bits say {2**self.bits}")
        return Levels(symbols, zeros + len(values), tensor.shape, [values])

    def tensor(self, levels: Levels, shape: Shape) -> Array:
        zero = np.zeros(levels.alphabet - len(levels.side[0]), np.float32)
        found: Array = np.concatenate([zero, levels.side[0]])[levels.symbols].reshape(shape)
        return found

    def symbols_shape(self, shape: Shape, lengths: list[int], alphabet: int) -> Shape | None:
        check_sizes(0 <= self.bits <= 15, "a code book has 0 to 15 bits")
        check_sizes(len(lengths) == 1 and lengths[0] <= 2**self.bits, "a code book has 2^bits values at most")
        check_sizes(alphabet - lengths[0] in (0, 1) and alphabet > 0, "there is a symbol for each value, one for zero")
        return shape


@dataclass(frozen=True)
class Binary(Format):
    """A sign for each element, times one positive scale for each row (output channel), or one for all."""

    def levels(self, tensor: Array) -> Levels:
        if not tensor.size:
            return Levels(np.zeros(0, np.uint8), 2, tensor.shape, [np.ones(1, np.float32)])
        rows = tensor.reshape(tensor.shape[0] if tensor.ndim else 1, -1)
        scales = np.abs(rows[:, 0])
        if not np.array_equal(np.abs(rows), np.broadcast_to(scales[:, None], rows.shape)) or not (scales > 0).all():
            raise ValueError("it has weights of one row (output channel) that differ in magnitude, or are zero")
        scales = scales[:1] if (scales == scales[0]).all() else scales
        return Levels(np.signbit(rows).ravel().astype(np.uint8), 2, tensor.shape, [scales])

    def tensor(self, levels: Levels, shape: Shape) -> Array:
        assert levels.symbols is not None
        rows = (1 - 2 * levels.symbols.astype(np.float32)).reshape(len(levels.side[0]), -1)
        found: Array = (rows * levels.side[0][:, None]).reshape(shape)
        return found

    def symbols_shape(self, shape: Shape, lengths: list[int], alphabet: int) -> Shape | None:
        rows = shape[0] if shape else 1
        fits = len(lengths) == 1 and lengths[0] in (1, rows) and alphabet == 2
        check_sizes(fits, "there is a scale, or one a row")
        return shape


@dataclass(frozen=True)
class Hashed(Format):
    """Every element is one of `buckets` values, times a sign; a hash of its place says which (Chen et al. 2015)."""

    buckets: int
    seed: int

    def levels(self, tensor: Array) -> Levels:
        index, sign = places(tensor.shape, self.buckets, self.seed)
        values = np.zeros(self.buckets, np.float32)
        values[index] = tensor.ravel() * sign
        if not np.array_equal(values[index] * sign, tensor.ravel()):
            raise ValueError(f"elements of one of its {self.buckets} buckets differ")
        return Levels(side=[values + np.float32(0)])

    def tensor(self, levels: Levels, shape: Shape) -> Array:
        index, sign = places(shape, self.buckets, self.seed)
        found: Array = levels.side[0][index] * sign + np.float32(0)
        return found.reshape(shape)

    def symbols_shape(self, shape: Shape, lengths: list[int], alphabet: int) -> Shape | None:
        fits = self.buckets >= 1 and lengths == [self.buckets] and not alphabet
        check_sizes(fits, "hashed weights are their buckets")
        return None


FORMATS: dict[str, type[Format]] = {
    kind.__name__: kind
    for kind in (Dense, Sparse, NOfM, Blocks, Codebook, PowerOfTwo, FixedPoint, Binary, Product, Hashed, Uniform)
}
"""Our own formats, which a file names by class name; those of a plugin it names by dotted path."""
PRUNED = (Sparse, NOfM, Blocks)
"""The formats that say where zeros are, and nothing of the other values."""


def name_of(form: Format) -> str:
    """Return what a file calls a format: ours by class name, a plugin's by dotted path."""
    kind = type(form)
    return kind.__name__ if FORMATS.get(kind.__name__) is kind else dotted_path(kind)


def named(name: str) -> type[Format]:
    """Return the format of that name. ValueError if there is none, or if it lies in no plugin that is in use."""
    if name in FORMATS:
        return FORMATS[name]
    kind = locate(name, "compressbench.none.")  # ours have short names alone
    if not (isinstance(kind, type) and issubclass(kind, Format) and is_dataclass(kind)):
        raise ValueError(f"{name} is no format")
    return kind


@dataclass(frozen=True)
class Coding:
    """Which coders a file may choose from; of each tensor the smallest result is kept.

    coders: names of `codecs.coders.CODERS`. index_bits: bits of a gap in the relative index of Deep Compression; None:
    the best of each tensor.
    """

    coders: tuple[str, ...] = ("fixed", "bitmask")
    index_bits: int | None = None
