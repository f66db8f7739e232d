"""The context coder: first where the non-zeros are, then what they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compressbench.codecs import mask_context, value_context
from compressbench.codecs.ans import Decoder, Encoder
from compressbench.codecs.bits import BitReader, BitWriter, dtype_of
from compressbench.codecs.fixed_point import PROBABILITY
from compressbench.codecs.mask_context import Densities, Layout

ALL_ZERO, ALL_NONZERO, MIXED = range(3)
"""What the mask is; two bits say so. Then a mixed one's density."""
DENSITY_BITS = PROBABILITY.bit_length() - 1


def encode(symbols: NDArray[np.integer], alphabet: int, shape: tuple[int, ...]) -> bytes:
    """Return the bytes of a tensor's symbols (flat, at least one)."""
    layout = Layout.of(shape)
    mask = symbols != 0
    positions = np.flatnonzero(mask)
    writer, encoder = BitWriter(), Encoder()
    densities = Densities(layout, PROBABILITY)
    if not positions.size:
        writer.write(ALL_ZERO, 2)
        return writer.to_bytes()
    if positions.size == mask.size:
        writer.write(ALL_NONZERO, 2)
    else:
        density = _density(positions.size, mask.size)
        writer.write(MIXED, 2)
        writer.write(density, DENSITY_BITS)
        densities = mask_context.encode(encoder, mask, layout, density)
    present = symbols[positions] - 1
    classes = value_context.classes_of(densities, positions)
    values = value_context.Values.write(writer, present, classes, alphabet - 1)
    values.encode(encoder, present, classes)
    return writer.to_bytes() + encoder.to_bytes()


def decode(data: bytes, alphabet: int, shape: tuple[int, ...]) -> NDArray[np.unsignedinteger]:
    """Return the symbols that `encode` was given. ValueError for anything else."""
    layout = Layout.of(shape)
    symbols = np.zeros(layout.rows * layout.columns, dtype_of(alphabet))
    reader = BitReader(data)
    kind = reader.read(2)
    if kind == ALL_ZERO:
        Decoder(reader.rest()).finish()
        return symbols
    if kind not in (ALL_NONZERO, MIXED) or alphabet == 1:
        raise ValueError("neither zeros nor anything else")
    density = reader.read(DENSITY_BITS) if kind == MIXED else PROBABILITY
    values = value_context.Values.read(reader, alphabet - 1)
    decoder = Decoder(reader.rest())
    densities = Densities(layout, density)
    mask = np.ones(symbols.size, np.bool_)
    if kind == MIXED:
        mask, densities = mask_context.decode(decoder, layout, density)
    positions = np.flatnonzero(mask)
    if kind == MIXED and (positions.size in (0, mask.size) or _density(positions.size, mask.size) != density):
        raise ValueError("the mask has another density than was stored")
    classes = value_context.classes_of(densities, positions)
    symbols[positions] = values.decode(decoder, classes) + 1
    decoder.finish()
    return symbols


def _density(ones: int, count: int) -> int:
    return min(max(ones * PROBABILITY // count, 1), PROBABILITY - 1)
