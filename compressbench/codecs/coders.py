"""The coders by name: each turns the integers of one tensor into bytes and back.

Symbols are 0 .. alphabet - 1 in row-major order; where a tensor was pruned, 0 is the zero. Neither the alphabet nor
the shape is part of the bytes. Bytes may be hostile: `decode` raises ValueError for whatever `encode` cannot have
written as far as it shows, and takes time and memory in proportion to the tensor and its alphabet only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from compressbench.codecs import ans, context, huffman, relative_index
from compressbench.codecs.bits import BitReader, BitWriter, dtype_of, pack_fixed, unpack_fixed, width_of

LARGEST_ALPHABET = 1 << 16

Symbols = NDArray[np.integer]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Coder:
    """One way to write integers; the functions are only ever given tensors that are not empty."""

    name: str
    _encode: Callable[[Symbols, int, Shape, int | None], bytes]
    _decode: Callable[[bytes, int, Shape], Symbols]

    def encode(self, symbols: Symbols, alphabet: int, shape: Shape, index_bits: int | None = None) -> bytes:
        """Return the bytes of a tensor's symbols (flat). index_bits: of `relative_huffman`; None: the best.

        ValueError for symbols out of the alphabet, too large an alphabet, or a shape of another size.
        """
        _check(alphabet, shape)
        if symbols.shape != (prod(shape),):
            raise ValueError(f"symbols of shape {symbols.shape} for a tensor of shape {shape}")
        if not symbols.size:
            return b""
        if symbols.min() < 0 or symbols.max() >= alphabet:
            raise ValueError(f"symbols {symbols.min()} .. {symbols.max()} are not within 0 .. {alphabet - 1}")
        return self._encode(symbols.astype(dtype_of(alphabet), copy=False), alphabet, shape, index_bits)

    def decode(self, data: bytes, alphabet: int, shape: Shape) -> Symbols:
        """Return the symbols (flat, the smallest unsigned type) of which `encode` made these bytes, else ValueError."""
        _check(alphabet, shape)
        if not prod(shape):
            if data:
                raise ValueError("data for an empty tensor")
            return np.zeros(0, dtype_of(alphabet))
        return self._decode(data, alphabet, shape).astype(dtype_of(alphabet), copy=False)


def _check(alphabet: int, shape: Shape) -> None:
    if not 1 <= alphabet <= LARGEST_ALPHABET:
        raise ValueError(f"alphabet: {alphabet} is not within 1 .. {LARGEST_ALPHABET}")
    if any(size < 0 for size in shape):
        raise ValueError(f"shape: {shape} has a negative size")


def _encode_fixed(symbols: Symbols, alphabet: int, shape: Shape, index_bits: int | None) -> bytes:
    return pack_fixed(symbols, width_of(alphabet))


def _decode_fixed(data: bytes, alphabet: int, shape: Shape) -> Symbols:
    return unpack_fixed(data, width_of(alphabet), prod(shape), alphabet)


def _encode_bitmask(symbols: Symbols, alphabet: int, shape: Shape, index_bits: int | None) -> bytes:
    return pack_fixed(symbols != 0, 1) + pack_fixed(symbols[symbols != 0] - 1, width_of(alphabet - 1))


def _decode_bitmask(data: bytes, alphabet: int, shape: Shape) -> Symbols:
    bytes_of_mask = (prod(shape) + 7) // 8
    mask = unpack_fixed(data[:bytes_of_mask], 1, prod(shape), 2).astype(bool)
    values = unpack_fixed(data[bytes_of_mask:], width_of(alphabet - 1), int(np.count_nonzero(mask)), alphabet - 1)
    symbols = np.zeros(mask.size, dtype_of(alphabet))
    symbols[mask] = values.astype(symbols.dtype) + 1
    return symbols


def _encode_huffman(symbols: Symbols, alphabet: int, shape: Shape, index_bits: int | None) -> bytes:
    lengths = huffman.code_lengths(np.bincount(symbols, minlength=alphabet))
    writer = BitWriter()
    huffman.write_code(writer, lengths)
    return writer.to_bytes() + huffman.encode(symbols, lengths)


def _decode_huffman(data: bytes, alphabet: int, shape: Shape) -> Symbols:
    reader = BitReader(data)
    lengths = huffman.read_code(reader, alphabet)
    rest = reader.rest()
    symbols, used = huffman.decode(rest, lengths, prod(shape))
    if used != len(rest):
        raise ValueError("data after the last symbol")
    return symbols


_ALL = (
    Coder("fixed", _encode_fixed, _decode_fixed),
    Coder("bitmask", _encode_bitmask, _decode_bitmask),
    Coder("huffman", _encode_huffman, _decode_huffman),
    Coder(
        "relative_huffman",
        lambda symbols, alphabet, shape, index_bits: relative_index.encode(symbols, alphabet, index_bits),
        lambda data, alphabet, shape: relative_index.decode(data, alphabet, prod(shape)),
    ),
    Coder(
        "ans",
        lambda symbols, alphabet, shape, index_bits: ans.encode(symbols, alphabet),
        lambda data, alphabet, shape: ans.decode(data, alphabet, prod(shape)),
    ),
    Coder(
        "context",
        lambda symbols, alphabet, shape, index_bits: context.encode(symbols, alphabet, shape),
        lambda data, alphabet, shape: context.decode(data, alphabet, shape),
    ),
)

CODERS: dict[str, Coder] = {coder.name: coder for coder in _ALL}
"""fixed: ceil(log2 alphabet) bits a symbol. bitmask: a bit a position, then the non-zeros in fixed width. huffman:
canonical, zeros included. relative_huffman: Deep Compression's (Han et al. 2016). ans: order-0 entropy coding, zeros
included. context: a context model of the mask, then of the non-zeros."""
