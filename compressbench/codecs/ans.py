"""Asymmetric numeral systems (Duda et al. 2015) by constriction, with models that are the same on every machine.

Models are made of integers only: constriction scales them with one division and one multiplication of doubles, which
IEEE 754 fixes to the last bit, and rounds down (`perfect=False`; the other way uses logarithms, which it does not fix).

Decoding cannot fail half-way: every string of words is a message of any length. What tells a damaged one is that the
coder is not empty after the last symbol, since encoding began with an empty one.
"""

from __future__ import annotations

from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from compressbench.codecs.bits import BitReader, BitWriter, dtype_of
from compressbench.codecs.fixed_point import OCTAVE, ROOTS
from compressbench.codecs.tables import levels_bits, read_levels, write_levels

CHUNK = 1 << 20
"""Symbols that are coded at a time: constriction takes and gives integers of 32 bits."""

TOTAL = 1 << 20
"""About what the frequencies of a table add up to."""

PROBABILITY_BITS = 20
"""Binary probabilities are multiples of 2^-20, at least one."""

STEPS = (1, 2, 4, 8, 16, 32)
"""Choices for how many levels of frequency an octave has; three bits say which."""

OCTAVES = 30
"""Levels reach to counts of 2^30, as large a tensor as fits here; no sum of frequencies overflows below that."""


class Encoder:
    """Takes symbols in the order in which they will be decoded; they are coded when all are there, last first."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[np.integer], Any]] = []

    def add(self, symbols: NDArray[np.integer], model: Any) -> None:
        """Append symbols 0, 1, ... of a model, which is None if there is no choice."""
        if symbols.size and model is not None:
            self._parts.append((symbols, model))

    def to_bytes(self) -> bytes:
        """Return all that was added."""
        coder = constriction.stream.stack.AnsCoder()
        for symbols, model in reversed(self._parts):
            for start in reversed(range(0, symbols.size, CHUNK)):
                coder.encode_reverse(symbols[start : start + CHUNK].astype(np.int32), model)
        words: NDArray[np.uint32] = coder.get_compressed()
        return words.astype("<u4").tobytes().rstrip(b"\0")  # the last word is never 0


class Decoder:
    """Gives back what an Encoder took, in the same order."""

    def __init__(self, data: bytes) -> None:
        if data.endswith(b"\0"):
            raise ValueError("the coded symbols end with a zero byte")
        words = np.frombuffer(data + bytes(-len(data) % 4), "<u4").astype(np.uint32)
        self._coder = constriction.stream.stack.AnsCoder(words) if words.size else constriction.stream.stack.AnsCoder()

    def take(self, count: int, model: Any, out: NDArray[np.unsignedinteger]) -> None:
        """Write the next `count` symbols to `out`: zeros if the model is None."""
        out[:count] = 0
        for start in range(0, count if model is not None else 0, CHUNK):
            size = min(CHUNK, count - start)
            out[start : start + size] = self._coder.decode(model, size)

    def finish(self) -> None:
        """Raise ValueError if something else was coded than what was taken."""
        if not self._coder.is_empty():
            raise ValueError("the coded symbols are damaged")


def binary(numerator: int) -> Any:
    """Return the model of a bit that is 1 with probability numerator / 2^PROBABILITY_BITS."""
    limited = min(max(numerator, 1), (1 << PROBABILITY_BITS) - 1)
    return constriction.stream.model.Bernoulli(limited / (1 << PROBABILITY_BITS), perfect=False)


def categorical(frequencies: NDArray[np.int64]) -> Any:
    """Return the model of symbols with these frequencies, each 1 or more; None if there is only one."""
    if frequencies.size <= 1:
        return None
    return constriction.stream.model.Categorical(frequencies.astype(np.float64), perfect=False, lazy=False)


def write_frequencies(writer: BitWriter, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Write the logarithms of the counts, as finely as pays, and return what `read_frequencies` will.

    A finer table takes more bits and gives the symbols fewer: the number of steps with the smallest sum is taken.
    """
    occurring = counts[counts > 0]

    def bits(step: int) -> float:
        levels = _levels(counts, step)
        frequencies = _frequencies(levels, step)[counts > 0]
        return levels_bits(levels) - float((occurring * np.log2(frequencies / frequencies.sum())).sum())

    step = min(STEPS, key=bits) if occurring.size > 1 else STEPS[0]
    writer.write(STEPS.index(step), 3)
    levels = _levels(counts, step) if occurring.size > 1 else (counts > 0).astype(np.int64)
    write_levels(writer, levels)
    return _frequencies(levels, step)


def read_frequencies(reader: BitReader, alphabet: int) -> NDArray[np.int64]:
    """Return a frequency for each symbol, 0 for those that do not occur. ValueError for a damaged table."""
    choice = reader.read(3)
    if choice >= len(STEPS):
        raise ValueError(f"no table has {choice} for its number of steps")
    return _frequencies(read_levels(reader, alphabet, OCTAVES * STEPS[choice]), STEPS[choice])


def check_occurring(counts: NDArray[np.int64]) -> None:
    """Raise ValueError if a symbol of the table was not found.

    An empty coder gives the first symbol for ever and stays empty: this is what tells that all words are gone.
    """
    if not counts.all():
        raise ValueError("a symbol of the table does not occur")


def _levels(counts: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    logarithms = np.log2(np.maximum(counts, 1)) * step
    return np.where(counts > 0, np.minimum(np.rint(logarithms).astype(np.int64) + 1, OCTAVES * step), 0)


def _frequencies(levels: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """Return the frequencies that levels stand for: integers that add up to about TOTAL; never 0 for a level."""
    logarithms = (levels - 1) * (OCTAVE // step)
    values = np.where(levels > 0, ROOTS[logarithms % OCTAVE] << np.maximum(logarithms // OCTAVE, 0) >> 24, 0)
    scaled = values * TOTAL // max(int(values.sum()), 1)  # values are below 2^38
    return np.where(levels > 0, np.maximum(scaled, 1), 0)


def encode(symbols: NDArray[np.integer], alphabet: int) -> bytes:
    """Return the symbols, each in as many bits as its frequency says (order 0)."""
    writer = BitWriter()
    frequencies = write_frequencies(writer, np.bincount(symbols, minlength=alphabet))
    encoder = Encoder()
    occurring = np.flatnonzero(frequencies)
    ranks = np.zeros(alphabet, dtype_of(alphabet))
    ranks[occurring] = np.arange(occurring.size)
    encoder.add(ranks[symbols], categorical(frequencies[occurring]))
    return writer.to_bytes() + encoder.to_bytes()


def decode(data: bytes, alphabet: int, count: int) -> NDArray[np.unsignedinteger]:
    """Return the `count` symbols that `encode` was given. ValueError for anything else."""
    reader = BitReader(data)
    frequencies = read_frequencies(reader, alphabet)
    occurring = np.flatnonzero(frequencies)
    if not occurring.size:
        raise ValueError("no symbol occurs")
    decoder = Decoder(reader.rest())
    symbols = np.empty(count, dtype_of(alphabet))
    decoder.take(count, categorical(frequencies[occurring]), symbols)
    decoder.finish()
    check_occurring(np.bincount(symbols, minlength=occurring.size))
    return occurring.astype(symbols.dtype)[symbols]
