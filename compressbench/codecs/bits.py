"""Bits in bytes: fixed-width integers, codes of different lengths, and small self-delimiting integers for headers.

The first bit of a stream is the highest bit of its first byte; the last byte is filled up with zeros.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 18
"""How many integers are turned into bits at a time; a multiple of 8, so that chunks of fixed width end on a byte."""

LONGEST_GOLOMB = 48
"""Zeros before the first one of an exponential Golomb code: more are a damaged stream, not a large integer."""


def width_of(alphabet: int) -> int:
    """Return ceil(log2(alphabet)), the bits of one of so many symbols; 0 for a single one."""
    return max(alphabet - 1, 0).bit_length()


def dtype_of(alphabet: int) -> type[np.unsignedinteger]:
    """Return the smallest unsigned type that holds 0 .. alphabet - 1."""
    return np.uint8 if alphabet <= 1 << 8 else np.uint16 if alphabet <= 1 << 16 else np.uint32


def pack_fixed(symbols: NDArray[np.integer], width: int) -> bytes:
    """Return the symbols with `width` bits each."""
    if width == 1:
        return np.packbits(symbols.astype(bool)).tobytes()
    shifts = np.arange(width - 1, -1, -1, dtype=np.uint32)
    pieces = []
    for start in range(0, symbols.size if width else 0, CHUNK):
        chunk = symbols[start : start + CHUNK].astype(np.uint32)
        pieces.append(np.packbits((chunk[:, None] >> shifts & 1).astype(np.uint8)).tobytes())
    return b"".join(pieces)


def unpack_fixed(data: bytes, width: int, count: int, alphabet: int) -> NDArray[np.unsignedinteger]:
    """Return `count` symbols of `width` bits. ValueError if `data` is not exactly that, or a symbol out of range."""
    if len(data) != (count * width + 7) // 8:
        raise ValueError(f"{count} symbols of {width} bits do not take {len(data)} bytes")
    symbols = np.zeros(count, dtype_of(alphabet))
    weights = 1 << np.arange(width - 1, -1, -1, dtype=np.int64)
    source = np.frombuffer(data, np.uint8)
    for start in range(0, count if width else 0, CHUNK):
        size = min(CHUNK, count - start)
        first = start * width // 8
        found = np.unpackbits(source[first : first + (size * width + 7) // 8])
        if found[size * width :].any():
            raise ValueError("bits after the last symbol")
        chunk = found[: size * width].reshape(size, width) @ weights
        if chunk.max() >= alphabet:
            raise ValueError(f"symbol {chunk.max()} in an alphabet of {alphabet}")
        symbols[start : start + size] = chunk
    return symbols


def pack_codes(codes: NDArray[np.uint64], lengths: NDArray[np.uint8], symbols: NDArray[np.integer]) -> bytes:
    """Return the codes of the symbols one after the other; symbol s has the lowest `lengths[s]` bits of `codes[s]`."""
    pieces = []
    left = np.zeros(0, np.uint8)  # bits of an unfinished byte
    for start in range(0, symbols.size, CHUNK):
        chunk = symbols[start : start + CHUNK]
        length = lengths[chunk].astype(np.int64)
        ends = np.cumsum(length)
        shifts = (np.repeat(ends, length) - np.arange(1, ends[-1] + 1)).astype(np.uint64)
        found = (np.repeat(codes[chunk], length) >> shifts & np.uint64(1)).astype(np.uint8)
        found = np.concatenate([left, found])
        whole = found.size // 8 * 8
        pieces.append(np.packbits(found[:whole]).tobytes())
        left = found[whole:]
    pieces.append(np.packbits(left).tobytes())
    return b"".join(pieces)


def golomb_bits(values: NDArray[np.integer], order: int) -> int:
    """Return how many bits the exponential Golomb codes of that order take."""
    octaves = np.frexp((values.astype(np.int64) >> order) + 1)[1].astype(np.int64)  # bit_length; exact below 2^53
    return int((2 * octaves - 1 + order).sum())


class BitWriter:
    """A short header, built bit by bit."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def write(self, value: int, width: int) -> None:
        """Append the lowest `width` bits of a value that has no others."""
        assert 0 <= value < 1 << width, (value, width)
        if width:
            self._pieces.append(f"{value:0{width}b}")

    def write_golomb(self, values: Iterable[int], order: int) -> None:
        """Append exponential Golomb codes: value / 2^order + 1 after as many zeros as it has bits but one."""
        for value in values:
            rounded = (int(value) >> order) + 1
            self.write(rounded, 2 * rounded.bit_length() - 1)
            self.write(int(value) & ((1 << order) - 1), order)

    def to_bytes(self) -> bytes:
        """Return what was written, filled up to a whole byte."""
        bits = "".join(self._pieces)
        count = (len(bits) + 7) // 8
        return int(bits.ljust(8 * count, "0") or "0", 2).to_bytes(count, "big")


class BitReader:
    """Reads what BitWriter wrote. Every method raises ValueError where the data ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def read(self, width: int) -> int:
        """Return the integer in the next `width` bits."""
        end = self._position + width
        if end > 8 * len(self._data):
            raise ValueError("the data ends within its header")
        covering = int.from_bytes(self._data[self._position // 8 : (end + 7) // 8], "big")
        self._position = end
        return covering >> -end % 8 & ((1 << width) - 1)

    def read_golomb(self, order: int) -> int:
        """Return the integer of the next exponential Golomb code."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > LONGEST_GOLOMB:
                raise ValueError("an integer of the header has no end")
        rounded = (1 << zeros | self.read(zeros)) - 1
        return rounded << order | self.read(order)

    def rest(self) -> bytes:
        """Return the bytes after the header. ValueError if the header's last byte is not filled up with zeros."""
        if self.read(-self._position % 8):
            raise ValueError("bits after the end of the header")
        return self._data[self._position // 8 :]
