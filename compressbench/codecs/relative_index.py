"""Deep Compression's sparse storage (Han et al. 2016, section 2, figure 2): the gap from one non-zero to the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compressbench.codecs import huffman
from compressbench.codecs.bits import BitReader, BitWriter, dtype_of

INDEX_BITS = range(2, 13)
"""Widths of a gap to choose from."""
COUNT_ORDER = 12
"""Order of the exponential Golomb code for the number of entries."""


def to_relative(
    symbols: NDArray[np.integer], index_bits: int
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.unsignedinteger]]:
    """Return codes and gaps: for each entry its symbol, and how many zeros were left out before it.

    A gap is less than 2^index_bits; where more zeros stand together, an entry with code 0 (a filler) is put in after
    every 2^index_bits - 1 of them. Zeros after the last non-zero have no entry.
    """
    present = np.flatnonzero(symbols)
    zeros = np.diff(present, prepend=-1) - 1
    fillers = zeros >> index_bits
    ends = np.cumsum(fillers + 1) - 1
    count = int(ends[-1]) + 1 if ends.size else 0
    codes = np.zeros(count, symbols.dtype)
    gaps = np.full(count, (1 << index_bits) - 1, np.uint16)
    codes[ends] = symbols[present]
    gaps[ends] = zeros & ((1 << index_bits) - 1)
    return codes, gaps


def from_relative(codes: NDArray[np.integer], gaps: NDArray[np.integer], count: int) -> NDArray[np.integer]:
    """Return `count` symbols. ValueError if the entries reach beyond them."""
    symbols = np.zeros(count, codes.dtype)
    positions = np.cumsum(gaps.astype(np.int64) + 1) - 1
    if positions.size and positions[-1] >= count:
        raise ValueError(f"entries up to position {positions[-1]} in a tensor of {count}")
    symbols[positions] = codes
    return symbols


def best_index_bits(symbols: NDArray[np.integer], alphabet: int) -> int:
    """Return the width of a gap with the smallest Huffman codes of gaps and codes together, without their tables."""
    present = np.flatnonzero(symbols)
    zeros, repeats = np.unique(np.diff(present, prepend=-1) - 1, return_counts=True)
    counts = np.bincount(symbols[present], minlength=alphabet)

    def bits(width: int) -> int:
        gaps = np.bincount(zeros & ((1 << width) - 1), weights=repeats, minlength=1 << width).astype(np.int64)
        counts[0] = int(((zeros >> width) * repeats).sum())
        gaps[-1] += counts[0]
        return sum(int((found * huffman.code_lengths(found)).sum()) for found in (gaps, counts))

    return min(INDEX_BITS, key=bits)


def encode(symbols: NDArray[np.integer], alphabet: int, index_bits: int | None) -> bytes:
    """Return the entries, codes and gaps each in a Huffman code of their own (section 4). None: the best width.

    ValueError for a width that is not in INDEX_BITS.
    """
    width = best_index_bits(symbols, alphabet) if index_bits is None else index_bits
    if width not in INDEX_BITS:
        raise ValueError(f"index_bits: {width} is not in {INDEX_BITS.start} .. {INDEX_BITS.stop - 1}")
    codes, gaps = to_relative(symbols, width)
    writer = BitWriter()
    writer.write(width, 4)
    writer.write_golomb([codes.size], COUNT_ORDER)
    streams = []
    for values, size in ((codes, alphabet), (gaps, 1 << width)) if codes.size else ():
        lengths = huffman.code_lengths(np.bincount(values, minlength=size))
        huffman.write_code(writer, lengths)
        streams.append(huffman.encode(values, lengths))
    return b"".join([writer.to_bytes(), *streams])


def decode(data: bytes, alphabet: int, count: int) -> NDArray[np.integer]:
    """Return the `count` symbols that `encode` was given. ValueError for anything else."""
    reader = BitReader(data)
    width = reader.read(4)
    entries = reader.read_golomb(COUNT_ORDER)
    if width not in INDEX_BITS or entries > count:
        raise ValueError(f"{entries} entries with gaps of {width} bits in a tensor of {count}")
    tables = [huffman.read_code(reader, size) for size in ((alphabet, 1 << width) if entries else ())]
    rest = reader.rest()
    streams = []
    for lengths in tables:
        values, used = huffman.decode(rest, lengths, entries)
        streams.append(values)
        rest = rest[used:]
    if rest:
        raise ValueError("data after the last entry")
    if not entries:
        return np.zeros(count, dtype_of(alphabet))
    return from_relative(streams[0], streams[1], count)
