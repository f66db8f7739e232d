"""Canonical Huffman codes (Huffman 1952; Schwartz and Kallick 1964): only the lengths of the codes are stored."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compressbench.codecs.bits import BitReader, BitWriter, dtype_of, pack_codes
from compressbench.codecs.tables import read_levels, write_levels

LONGEST = 20
"""Bits of the longest code allowed; 65,536 symbols need 16. A code that would be longer costs other symbols little."""

CHUNK = 1 << 16
"""Bytes that are decoded at a time."""


class Code(NamedTuple):
    """lengths: bits of each symbol's code, 0 for one that does not occur. codes: the bits, as integers."""

    lengths: NDArray[np.uint8]
    codes: NDArray[np.uint64]


def code_lengths(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the length of each symbol's code; 0 for a count of 0. A symbol that stands alone gets one bit."""
    present = np.flatnonzero(counts)
    weights = counts[present].tolist()
    lengths = np.zeros(counts.size, np.uint8)
    if present.size == 1:
        lengths[present] = 1
    elif present.size:
        while max(found := _depths(weights)) > LONGEST:  # flatter counts give shorter codes
            weights = [(weight + 1) // 2 for weight in weights]
        lengths[present] = found
    return lengths


def _depths(weights: list[int]) -> list[int]:
    """Return the depth of every leaf of the Huffman tree."""
    heap = [(weight, leaf) for leaf, weight in enumerate(weights)]
    heapq.heapify(heap)
    parents = [0] * (2 * len(weights) - 1)
    for node in range(len(weights), len(parents)):
        light, lighter = heapq.heappop(heap), heap[0]
        parents[light[1]] = parents[lighter[1]] = node
        heapq.heapreplace(heap, (light[0] + lighter[0], node))
    depths = [0] * len(parents)
    for node in range(len(parents) - 2, -1, -1):
        depths[node] = depths[parents[node]] + 1
    return depths[: len(weights)]


def canonical(lengths: NDArray[np.uint8]) -> Code:
    """Return the canonical code: shorter codes first, symbols in order within a length, each code the last plus 1.

    ValueError if no prefix code has these lengths.
    """
    codes = np.zeros(lengths.size, np.uint64)
    counts = np.bincount(lengths, minlength=LONGEST + 1)
    first = 0
    for length in range(1, LONGEST + 1):
        symbols = np.flatnonzero(lengths == length)
        codes[symbols] = np.arange(first, first + symbols.size, dtype=np.uint64)
        first = first + int(counts[length]) << 1
    room = first - (2 << LONGEST)  # 0 if every string of bits means something
    if np.count_nonzero(lengths) > 1 and room:
        raise ValueError("no Huffman code has these lengths")
    return Code(lengths, codes)


def encode(symbols: NDArray[np.integer], lengths: NDArray[np.uint8]) -> bytes:
    """Return the codes of the symbols; nothing if only one symbol occurs."""
    if np.count_nonzero(lengths) <= 1:
        return b""
    code = canonical(lengths)
    return pack_codes(code.codes, code.lengths, symbols)


def decode(data: bytes, lengths: NDArray[np.uint8], count: int) -> tuple[NDArray[np.unsignedinteger], int]:
    """Return `count` symbols and how many bytes they took. ValueError for lengths of no code, or too little data.

    Every bit is looked at as if a code began there; then the codes that do are followed from the first.
    """
    present = np.count_nonzero(lengths)
    symbols = np.zeros(count, dtype_of(lengths.size))
    if count and not present:
        raise ValueError("symbols without a code")
    if present <= 1 or not count:
        symbols[:] = np.argmax(lengths) if present else 0
        return symbols, 0
    if count > 8 * len(data):
        raise ValueError(f"{count} symbols do not fit into {len(data)} bytes")
    ordered, limits, offsets = _decoding_tables(lengths)
    source = np.frombuffer(data + bytes(4), np.uint8)
    done, position = 0, 0
    while done < count:
        start = position // 8
        size = min(CHUNK, len(data) - start)
        if size <= 0:
            raise ValueError("the data ends within its symbols")
        windows = _windows(source[start : start + size + 3])
        length = (np.searchsorted(limits, windows, side="right") + 1).astype(np.uint8)
        at, position = _follow(length.tobytes(), position - 8 * start, count - done)
        chosen = length[at]
        places = (windows[at] >> (LONGEST - chosen)).astype(np.int64) - offsets[chosen]
        symbols[done : done + at.size] = ordered[places]
        done += at.size
        position += 8 * start
    if position > 8 * len(data):
        raise ValueError("the data ends within a symbol")
    used = (position + 7) // 8
    if data[used - 1] & ((1 << -position % 8) - 1):
        raise ValueError("bits after the last symbol")
    return symbols, used


def _decoding_tables(
    lengths: NDArray[np.uint8],
) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.int64]]:
    """Return the symbols in the order of their codes; the first window, as `_windows` makes them, beyond the codes of
    each length from 1; and for each length the difference between a code and its symbol's place in that order."""
    code = canonical(lengths)
    ordered = np.lexsort((np.arange(lengths.size), lengths))
    ordered = ordered[lengths[ordered] > 0]
    limits = np.zeros(LONGEST, np.uint32)
    offsets = np.zeros(LONGEST + 1, np.int64)
    end, place = 0, 0
    for length in range(1, LONGEST + 1):
        of_length = int(np.count_nonzero(lengths == length))
        if of_length:
            first = int(code.codes[ordered[place]])
            offsets[length] = first - place
            end = first + of_length << LONGEST - length
        limits[length - 1] = end
        place += of_length
    return ordered, limits, offsets


def _windows(source: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the LONGEST bits that follow each bit, as integers; `source` is three bytes longer than what is read."""
    wide = source.astype(np.uint32)
    words = wide[:-3] << 24 | wide[1:-2] << 16 | wide[2:-1] << 8 | wide[3:]
    shifts = np.arange(8, dtype=np.uint32)
    return (words[:, None] << shifts >> np.uint32(32 - LONGEST)).ravel().astype(np.uint32, copy=False)


def _follow(lengths: bytes, position: int, most: int) -> tuple[NDArray[np.int64], int]:
    """Return where codes begin, at most so many, from `position` on, and where the next one would."""
    found = []
    end = len(lengths)
    for _ in range(most):
        if position >= end:
            break
        found.append(position)
        position += lengths[position]
    return np.array(found, np.int64), position


def write_code(writer: BitWriter, lengths: NDArray[np.uint8]) -> None:
    """Write what a decoder needs to know of a code: its lengths."""
    write_levels(writer, lengths.astype(np.int64))


def read_code(reader: BitReader, alphabet: int) -> NDArray[np.uint8]:
    """Return the lengths of a code. ValueError for lengths that no code has."""
    lengths = read_levels(reader, alphabet, LONGEST).astype(np.uint8)
    canonical(lengths)
    return lengths
