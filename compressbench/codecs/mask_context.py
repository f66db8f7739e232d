"""A context model of where the non-zeros are: rows, input channels and kernel positions differ in density.

Nothing but the overall density is stored. The tensor is a matrix of rows (output channels) by columns (input channel
and kernel position), and is coded in steps, each a sample that is spread evenly over rows and columns; what was coded
before tells the density of each row, input channel, kernel position and column, with the density expected without it as
a prior. The logarithms of their odds add up to the score of an element. Elements of a step with about the same score
share one probability, which is learned too, so that the scores need only rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compressbench.codecs.ans import PROBABILITY_BITS, Decoder, Encoder, binary
from compressbench.codecs.fixed_point import HIGHEST, PROBABILITY, logarithm, probability

CLASSES = 64
"""Element (row, column) belongs to class (row + column) mod 64; a step is one class or a few."""
EVERY_CLASS_FROM = 1 << 20
"""Elements of a tensor from which every step is one class; smaller ones take fewer, growing steps, for speed."""
ROW_PRIOR, COLUMN_PRIOR, BIN_PRIOR = 20, 40, 30
"""How many elements what is expected weighs, against those seen. Tried on networks trained on digits, MNIST and
CIFAR10: half or twice as much changes the size by less than 0.2 %."""
BIN = 9
"""Units of score that share a probability: odds differ by 21 %, which costs less than 0.1 %."""
BINS = 2 * HIGHEST // BIN + 1


LARGEST_SIDE = 1 << 21
BLOCK = 1 << 21
"""Elements that are looked at together, for memory."""

Integers = NDArray[np.int64]
Block = tuple[Integers, Integers]


@dataclass(frozen=True)
class Layout:
    """A tensor as a matrix. kernel: successive columns that belong to one input channel."""

    rows: int
    columns: int
    kernel: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Layout:
        """Return the layout of a tensor (out, in, kernel height, kernel width), (out, in), or anything not empty."""
        rows = shape[0] if len(shape) > 1 else 1
        kernel = int(np.prod(shape[2:], dtype=np.int64))
        return cls(rows, int(np.prod(shape[1:], dtype=np.int64)) if len(shape) > 1 else int(np.prod(shape)), kernel)

    @property
    def has_effects(self) -> bool:
        """Whether densities are learned: not if every row or every column has one element, nor for more of either
        than any layer has, where that would take long."""
        return min(self.rows, self.columns) > 1 and max(self.rows, self.columns) <= LARGEST_SIDE

    def steps(self) -> Iterator[Iterable[Block]]:
        """Yield the steps; each is blocks of elements, whose rows and columns they are, small enough for memory."""
        if not self.has_effects:
            yield (
                np.divmod(np.arange(start, min(start + BLOCK, self.rows * self.columns)), self.columns)
                for start in range(0, self.rows * self.columns, BLOCK)
            )
            return
        classes = min(CLASSES, self.columns, 4 * self.rows)  # few rows, few steps: each looks at all columns
        first = 0
        while first < classes:
            if self.rows * self.columns >= EVERY_CLASS_FROM:
                yield self._class(first, classes)
                first += 1
                continue
            last = min(first + 1 + first // 5, classes)
            blocks = [block for number in range(first, last) for block in self._class(number, classes)]
            yield [(np.concatenate([rows for rows, _ in blocks]), np.concatenate([columns for _, columns in blocks]))]
            first = last

    def _class(self, number: int, classes: int) -> Iterator[Block]:
        height = max(BLOCK * classes // self.columns, 1)
        for top in range(0, self.rows, height):
            rows = np.arange(top, min(top + height, self.rows))
            columns = ((number - rows) % classes)[:, None] + np.arange(0, self.columns, classes)
            inside = columns < self.columns
            yield np.repeat(rows, np.count_nonzero(inside, axis=1)), columns[inside]


class Densities:
    """What is known of rows and columns. density: of the whole tensor, in units of 1 / PROBABILITY."""

    def __init__(self, layout: Layout, density: int) -> None:
        self.layout = layout
        self.density = min(max(density, 1), PROBABILITY - 1)
        rows, columns = (layout.rows, layout.columns) if layout.has_effects else (0, 0)
        self._row_ones, self._row_seen = np.zeros((2, rows), np.int64)
        self._column_ones, self._column_seen = np.zeros((2, columns), np.int64)

    def learn(self, rows: Integers, columns: Integers, ones: Integers) -> None:
        """Take note of elements, of which those with the numbers `ones` are not zero."""
        if not self.layout.has_effects:
            return
        _count(self._row_seen, rows)
        _count(self._column_seen, columns)
        _count(self._row_ones, rows[ones])
        _count(self._column_ones, columns[ones])

    def scores(self) -> tuple[Integers, Integers]:
        """Return a score for each row and each column; the score of an element is their sum."""
        layout, density = self.layout, self.density
        nothing = np.zeros(1, np.int64)
        general = _score(nothing, nothing, density, 1)
        if not layout.has_effects:
            return np.broadcast_to(general, layout.rows), np.broadcast_to(nothing, layout.columns)
        row = _score(self._row_ones, self._row_seen, density, ROW_PRIOR)
        expected: Integers | int = density
        if 1 < layout.kernel < layout.columns:
            ones = self._column_ones.reshape(-1, layout.kernel)
            seen = self._column_seen.reshape(-1, layout.kernel)
            channel = _score(ones.sum(axis=1), seen.sum(axis=1), density, COLUMN_PRIOR)
            position = _score(ones.sum(axis=0), seen.sum(axis=0), density, ROW_PRIOR)
            expected = probability(channel[:, None] + position - general).ravel()
        column = _score(self._column_ones, self._column_seen, expected, COLUMN_PRIOR)
        return row, column - general


def _count(counts: Integers, numbers: Integers) -> None:
    """Add 1 to the count of each of the numbers."""
    if numbers.size < counts.size // 8:
        np.add.at(counts, numbers, 1)
    else:
        counts += np.bincount(numbers, minlength=counts.size)


def _score(ones: Integers, seen: Integers, expected: Integers | int, prior: int) -> Integers:
    """Return the score of `ones` non-zeros among those seen, with `prior` more that are as expected."""
    zeros = seen - ones
    return logarithm(ones * PROBABILITY + prior * expected) - logarithm(
        zeros * PROBABILITY + prior * (PROBABILITY - expected)
    )


class Probabilities:
    """What is known of elements with about the same score."""

    def __init__(self) -> None:
        self._ones, self._seen = np.zeros((2, BINS), np.int64)
        self._prior = probability(np.arange(BINS) * BIN + BIN // 2 - HIGHEST)

    def of_one(self, number: int) -> int:
        """Return the probability of a non-zero, in units of 2^-PROBABILITY_BITS."""
        unit = PROBABILITY_BITS - PROBABILITY.bit_length() + 1
        ones = (int(self._ones[number]) << PROBABILITY_BITS) + (BIN_PRIOR * int(self._prior[number]) << unit)
        return ones // (int(self._seen[number]) + BIN_PRIOR)

    def learn(self, number: int, ones: int, seen: int) -> None:
        """Take note of so many elements with this score."""
        self._ones[number] += ones
        self._seen[number] += seen


class _Runs:
    """The elements of a block in order of score, and the runs of about the same: number, start and end of each."""

    def __init__(self, scores: tuple[Integers, Integers], block: Block) -> None:
        of_elements = np.clip(scores[0][block[0]] + scores[1][block[1]], -HIGHEST, HIGHEST) + HIGHEST
        numbers = (of_elements // BIN).astype(np.uint8)
        counts = np.bincount(numbers, minlength=BINS)
        ends = np.cumsum(counts)
        self.order = np.argsort(numbers, kind="stable")
        self.runs = [(run, int(ends[run] - counts[run]), int(ends[run])) for run in np.flatnonzero(counts).tolist()]


def encode(encoder: Encoder, mask: NDArray[np.bool_], layout: Layout, density: int) -> Densities:
    """Add the mask (flat) to what is to be encoded; return the densities after it."""
    densities, probabilities = Densities(layout, density), Probabilities()
    for step in layout.steps():
        scores = densities.scores()
        for block in step:
            found = _Runs(scores, block)
            bits = mask[block[0] * layout.columns + block[1]]
            ordered = bits[found.order].view(np.uint8)
            for number, start, end in found.runs:
                encoder.add(ordered[start:end], binary(probabilities.of_one(number)))
                probabilities.learn(number, int(np.count_nonzero(ordered[start:end])), end - start)
            densities.learn(*block, np.flatnonzero(bits))
    return densities


def decode(decoder: Decoder, layout: Layout, density: int) -> tuple[NDArray[np.bool_], Densities]:
    """Return the mask (flat) that `encode` was given, and the densities after it."""
    mask = np.zeros(layout.rows * layout.columns, np.bool_)
    densities, probabilities = Densities(layout, density), Probabilities()
    for step in layout.steps():
        scores = densities.scores()
        for block in step:
            found = _Runs(scores, block)
            ordered = np.zeros(found.order.size, np.uint8)
            for number, start, end in found.runs:
                decoder.take(end - start, binary(probabilities.of_one(number)), ordered[start:end])
                probabilities.learn(number, int(np.count_nonzero(ordered[start:end])), end - start)
            bits = np.zeros(ordered.size, np.bool_)
            bits[found.order] = ordered.view(np.bool_)
            mask[block[0] * layout.columns + block[1]] = bits
            densities.learn(*block, np.flatnonzero(bits))
    return mask, densities
