"""The non-zero values, with what the mask says of them: where non-zeros are dense, weights are larger.

Non-zeros are put into up to eight equal classes by the score of their place (`mask_context`) once the whole mask is
known. Each class learns its own frequencies as it goes, from the stored ones of all values as a prior.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import lgamma
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compressbench.codecs.ans import Decoder, Encoder, categorical, check_occurring, read_frequencies, write_frequencies
from compressbench.codecs.bits import BitReader, BitWriter, dtype_of
from compressbench.codecs.mask_context import Densities

CLASSES = 8
SMALLEST_CLASS = 32
"""Values for which a class of their own is worth looking at."""
PRIORS = (32, 128, 512, 2048, 8192)
"""Choices for how many values the stored frequencies weigh; three bits say which."""
FIRST_BLOCK = 32
"""Frequencies are made anew after so many values of a class, then after each quarter more."""
LARGEST_SCORE = 1 << 11
"""Scores are kept below this, either way, so that they can be counted: odds of 2^64."""


def classes_of(densities: Densities, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the class of each non-zero: classes hold about as many each, the least dense places first."""
    number = min(CLASSES, max(positions.size // SMALLEST_CLASS, 1))
    row, column = densities.scores()
    columns = densities.layout.columns
    limit = LARGEST_SCORE - 1
    scores = np.clip(row[positions // columns] + column[positions % columns], -limit, limit) + limit
    below = np.cumsum(np.bincount(scores, minlength=2 * LARGEST_SCORE))
    of_score = np.minimum((below - 1) * number // max(positions.size, 1), number - 1)
    classes: NDArray[np.uint8] = of_score.astype(np.uint8)[scores]
    return classes


def _blocks(size: int) -> Iterator[tuple[int, int]]:
    """Yield where to make frequencies anew."""
    start = 0
    while start < size:
        end = min(size, start + max(FIRST_BLOCK, start // 4))
        yield start, end
        start = end


def _best_prior(stored: NDArray[np.int64], counts: NDArray[np.int64]) -> int:
    """Return the choice of prior with the smallest code, as if frequencies were made anew after every value.

    counts: of each class and value. Only the encoder chooses, so that this may be floating point.
    """
    shares = (stored / stored.sum()).tolist()

    def nats(choice: int) -> float:
        prior = PRIORS[choice]
        total = 0.0
        for found in counts:
            total += lgamma(prior + int(found.sum())) - lgamma(prior)
            for value in np.flatnonzero(found).tolist():
                total -= lgamma(prior * shares[value] + int(found[value])) - lgamma(prior * shares[value])
        return total

    return min(range(len(PRIORS)), key=nats)


class Values:
    """The frequencies of all values, and how much they weigh against what a class learns."""

    def __init__(self, frequencies: NDArray[np.int64], choice: int) -> None:
        self.occurring = np.flatnonzero(frequencies)
        self._stored = frequencies[self.occurring]
        self._choice = choice

    @classmethod
    def write(cls, writer: BitWriter, values: NDArray[np.integer], classes: NDArray[np.uint8], alphabet: int) -> Values:
        """Choose both for values of these classes, and write them."""
        counts = np.bincount(values + classes.astype(np.int64) * alphabet, minlength=CLASSES * alphabet)
        counts = counts.reshape(CLASSES, alphabet)
        frequencies = write_frequencies(writer, counts.sum(axis=0))
        occurring = np.flatnonzero(frequencies)
        choice = 0
        if occurring.size > 1:
            choice = _best_prior(frequencies[occurring], counts[:, occurring])
            writer.write(choice, 3)
        return cls(frequencies, choice)

    @classmethod
    def read(cls, reader: BitReader, alphabet: int) -> Values:
        """Read what `write` wrote. ValueError for a damaged table."""
        frequencies = read_frequencies(reader, alphabet)
        occurring = np.count_nonzero(frequencies)
        choice = reader.read(3) if occurring > 1 else 0
        if not occurring or choice >= len(PRIORS):
            raise ValueError("the table of the values is damaged")
        return cls(frequencies, choice)

    def _model(self, counts: NDArray[np.int64]) -> Any:
        """Return the model of a class that has seen so many of each value; the products stay below 2^53."""
        return categorical(self._stored * PRIORS[self._choice] + counts * int(self._stored.sum()))

    def encode(self, encoder: Encoder, values: NDArray[np.integer], classes: NDArray[np.uint8]) -> None:
        """Add the values to what is to be encoded, class by class."""
        ranks = np.zeros(self.occurring[-1] + 1, dtype_of(self.occurring.size))
        ranks[self.occurring] = np.arange(self.occurring.size)
        for number in range(CLASSES):
            group = ranks[values[classes == number]]
            counts = np.zeros(self.occurring.size, np.int64)
            for start, end in _blocks(group.size):
                encoder.add(group[start:end], self._model(counts))
                counts += np.bincount(group[start:end], minlength=counts.size)

    def decode(self, decoder: Decoder, classes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the values that `encode` was given. ValueError if one that the table lists is missing."""
        values = np.zeros(classes.size, np.int64)
        total = np.zeros(self.occurring.size, np.int64)
        for number in range(CLASSES):
            group = np.zeros(np.count_nonzero(classes == number), dtype_of(self.occurring.size))
            counts = np.zeros(self.occurring.size, np.int64)
            for start, end in _blocks(group.size):
                decoder.take(end - start, self._model(counts), group[start:end])
                counts += np.bincount(group[start:end], minlength=counts.size)
            values[classes == number] = self.occurring[group]
            total += counts
        check_occurring(total)
        return values
