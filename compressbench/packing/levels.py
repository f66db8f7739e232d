"""Tensors as integers: which symbols each format hands to the coder, and what it needs beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from compressbench.core.format import (
    Binary,
    Codebook,
    Dense,
    FixedPoint,
    Format,
    Hashed,
    PowerOfTwo,
    Product,
    Sparse,
)
from compressbench.core.hashing import places
from compressbench.packing.symbols import (
    MOST_VALUES,
    check_sizes,
    exponents,
    fixed_point,
    indices,
    power_alphabet,
    powers,
    unzigzag,
    zigzag,
)

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Levels:
    """symbols: flat, 0 to alphabet - 1; symbol 0 is the zero where there are zeros. shape: how the symbols lie, for a
    coder that models rows and columns. side: arrays stored as they are (code books, scales, floats)."""

    symbols: Array | None = None
    alphabet: int = 0
    shape: Shape = ()
    side: list[Array] = field(default_factory=list)


def to_levels(tensor: Array, form: Format) -> Levels:
    """Return what is stored of a tensor. ValueError if the format cannot say its values exactly."""
    if isinstance(form, Dense):
        return _of_integers(tensor) if tensor.dtype in (np.int8, np.uint8) else Levels(side=[tensor.ravel()])
    if tensor.dtype != np.float32:
        raise ValueError(f"a tensor of {tensor.dtype} is stored dense; formats are for float32")
    tensor = tensor + np.float32(0)  # a masked negative weight is a negative zero; the file knows one zero
    if isinstance(form, Sparse):
        flat = tensor.ravel()
        present = flat != 0
        return Levels(present.astype(np.uint8), 2, tensor.shape, [flat[present]])
    if isinstance(form, Codebook):
        symbols, values, zeros = indices(tensor.ravel())
        if len(values) > 2**form.bits:
            raise ValueError(f"it has {len(values)} different values beside zero; {form.bits} bits say {2**form.bits}")
        return Levels(symbols, zeros + len(values), tensor.shape, [values])
    if isinstance(form, PowerOfTwo):
        return Levels(exponents(tensor.ravel(), form), power_alphabet(form), tensor.shape)
    if isinstance(form, FixedPoint):
        return Levels(fixed_point(tensor.ravel(), form), 2**form.bits, tensor.shape)
    if isinstance(form, Binary):
        return _signs(tensor)
    if isinstance(form, Product):
        return _code_words(tensor, form.dimension)
    return Levels(side=[_buckets(tensor, form)])


def from_levels(levels: Levels, form: Format, shape: Shape, dtype: npt.DTypeLike) -> Array:
    """Return the tensor. The sizes were checked by `sizes`; ValueError for what only the content can tell."""
    symbols, side = levels.symbols, levels.side
    if isinstance(form, Dense):
        if symbols is None:
            dense: Array = side[0].reshape(shape)
            return dense
        return unzigzag(symbols).astype(dtype).reshape(shape)
    if isinstance(form, Hashed):
        index, sign = places(shape, form.buckets, form.seed)
        hashed: Array = side[0][index] * sign + np.float32(0)
        return hashed.reshape(shape)
    assert symbols is not None
    if isinstance(form, Sparse):
        present = symbols.astype(bool)
        check_sizes(np.count_nonzero(present) == len(side[0]), "a mask says how many non-zeros there are")
        flat = np.zeros(len(symbols), np.float32)
        flat[present] = side[0]
        return flat.reshape(shape)
    if isinstance(form, Codebook):
        zero = np.zeros(levels.alphabet - len(side[0]), np.float32)
        return np.concatenate([zero, side[0]])[symbols].reshape(shape)
    if isinstance(form, PowerOfTwo):
        return powers(form)[symbols].reshape(shape)
    if isinstance(form, FixedPoint):
        return np.ldexp(unzigzag(symbols).astype(np.float32), -form.fraction_bits).reshape(shape)
    if isinstance(form, Binary):
        rows = (1 - 2 * symbols.astype(np.float32)).reshape(len(side[0]), -1)
        return (rows * side[0][:, None]).reshape(shape)
    return _from_code_words(symbols, side, form.dimension, shape)


def _of_integers(tensor: Array) -> Levels:
    flat = tensor.ravel()
    signed = flat.astype(np.int32) if tensor.dtype == np.int8 else flat.view(np.int8).astype(np.int32)
    return Levels(zigzag(signed).astype(np.uint8), 256, tensor.shape)


def _signs(tensor: Array) -> Levels:
    if not tensor.size:
        return Levels(np.zeros(0, np.uint8), 2, tensor.shape, [np.ones(1, np.float32)])
    rows = tensor.reshape(tensor.shape[0] if tensor.ndim else 1, -1)
    scales = np.abs(rows[:, 0])
    if not np.array_equal(np.abs(rows), np.broadcast_to(scales[:, None], rows.shape)) or not (scales > 0).all():
        raise ValueError("it has weights of one row (output channel) that differ in magnitude, or are zero")
    scales = scales[:1] if (scales == scales[0]).all() else scales
    return Levels(np.signbit(rows).ravel().astype(np.uint8), 2, tensor.shape, [scales])


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


def _buckets(tensor: Array, form: Hashed) -> Array:
    index, sign = places(tensor.shape, form.buckets, form.seed)
    values = np.zeros(form.buckets, np.float32)
    values[index] = tensor.ravel() * sign
    if not np.array_equal(values[index] * sign, tensor.ravel()):
        raise ValueError(f"elements of one of its {form.buckets} buckets differ")
    return values + np.float32(0)
