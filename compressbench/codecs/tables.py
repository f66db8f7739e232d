"""Tables of small integers for headers: which symbols occur, and a level (a length, a logarithm) for each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compressbench.codecs.bits import BitReader, BitWriter, golomb_bits

ORDERS = range(8)
"""Orders of exponential Golomb codes to choose from: three bits say which."""
COUNT_ORDER = 4
"""Order of the code for how many symbols occur."""


def write_levels(writer: BitWriter, levels: NDArray[np.int64]) -> None:
    """Write one level for each symbol of the alphabet: 0 for a symbol that does not occur, else 1 or more.

    Which symbols occur: one bit if all do, else the gaps between them; then the differences of successive levels,
    both in exponential Golomb codes of the best order. Neighbours are similar where symbols stand in order of value.
    """
    present = np.flatnonzero(levels)
    writer.write(int(present.size == levels.size), 1)
    if present.size < levels.size:
        writer.write_golomb([present.size], COUNT_ORDER)
        _write_best(writer, np.diff(present, prepend=-1) - 1)
    difference = np.diff(levels[present], prepend=1)
    _write_best(writer, np.where(difference < 0, -2 * difference - 1, 2 * difference))


def levels_bits(levels: NDArray[np.int64]) -> int:
    """Return about how many bits `write_levels` takes, but for the symbols that do not occur."""
    difference = np.diff(levels[levels > 0], prepend=1)
    values = np.where(difference < 0, -2 * difference - 1, 2 * difference)
    return min(golomb_bits(values, order) for order in ORDERS)


def read_levels(reader: BitReader, alphabet: int, highest: int) -> NDArray[np.int64]:
    """Return what `write_levels` wrote. ValueError for symbols out of the alphabet or levels out of 1 .. highest."""
    levels = np.zeros(alphabet, np.int64)
    if reader.read(1):
        present = list(range(alphabet))
    else:
        count = reader.read_golomb(COUNT_ORDER)
        if count >= alphabet:
            raise ValueError(f"{count} symbols in an alphabet of {alphabet}, but not all of them")
        present = []
        symbol = -1
        for gap in _read(reader, count):
            symbol += gap + 1
            if symbol >= alphabet:
                raise ValueError(f"symbol {symbol} in an alphabet of {alphabet}")
            present.append(symbol)
    level = 1
    for symbol, folded in zip(present, _read(reader, len(present)), strict=True):
        level += -(folded + 1) // 2 if folded % 2 else folded // 2
        if not 1 <= level <= highest:
            raise ValueError(f"level {level} of symbol {symbol} is not in 1 .. {highest}")
        levels[symbol] = level
    return levels


def _write_best(writer: BitWriter, values: NDArray[np.int64]) -> None:
    if values.size:
        order = min(ORDERS, key=lambda order: golomb_bits(values, order))
        writer.write(order, 3)
        writer.write_golomb(values.tolist(), order)


def _read(reader: BitReader, count: int) -> list[int]:
    order = reader.read(3) if count else 0
    return [reader.read_golomb(order) for _ in range(count)]
