"""One-dimensional k-means: the best centroids of many numbers, and which of them each number belongs to.

Numbers are first gathered into ascending points with a count each: the different values themselves of up to EXACT
numbers, else BINS bins of equal width. In one dimension clusters are runs of neighbouring points, so that a dynamic
programme finds the least squared error of all there are, on a thinned set of points where there are too many of them;
iterations of Lloyd's on all points then move the boundaries to the last point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.integer[Any]]

EXACT = 1 << 21
"""So many numbers are sorted, which takes less time than what is done with them afterwards."""
BINS = 1 << 16
CHUNK = 1 << 18
"""Numbers binned at once: what is made of them stays in the processor's cache."""
FEWEST_RUNS, RUNS_PER_CENTROID = 1024, 16
"""The dynamic programme works on so many runs of points at least, and on so many for each centroid."""


@dataclass(frozen=True)
class Points:
    """Different values in ascending order, and sums over all numbers before each of them: count, value, value^2.

    bins: the point of each number, where they are bins; None where a number's value is the point's.
    """

    values: Floats
    counts: Floats
    sums: Floats
    squares: Floats
    bins: Indices | None = None

    @classmethod
    def of(cls, numbers: Floats) -> Points:
        """Gather numbers, flat. ValueError if one is infinite or not a number."""
        least, most = (float(numbers.min()), float(numbers.max())) if len(numbers) else (0.0, 0.0)
        if not np.isfinite(most - least):
            raise ValueError("a weight is infinite or not a number; the network's weights cannot be shared")
        if len(numbers) <= EXACT:
            values, times = np.unique(numbers, return_counts=True)
            return cls._with_sums(values.astype(np.float64), times, None)
        bins, counts = _binned(numbers, least, most)
        centres = least + (np.arange(BINS) + 0.5) * ((most - least) / (BINS - 1))
        return cls._with_sums(centres, counts, bins)

    @classmethod
    def _with_sums(cls, values: Floats, counts: Indices, bins: Indices | None) -> Points:
        before = np.zeros((3, len(values) + 1))
        np.cumsum([counts, counts * values, counts * values**2], axis=1, out=before[:, 1:])
        return cls(values, before[0], before[1], before[2], bins)

    def cost(self, start: Indices, end: Indices) -> Floats:
        """Return the squared error of the points start .. end - 1 around their mean; 0 where there are none."""
        count = np.maximum(self.counts[end] - self.counts[start], 1)
        found: Floats = self.squares[end] - self.squares[start] - (self.sums[end] - self.sums[start]) ** 2 / count
        return np.maximum(found, 0, out=found)

    def thinned(self, runs: int) -> Points:
        """Return at most so many points, each a run of these.

        Runs are short where there are many numbers: their lengths are what a quantizer of least error has, as the
        cube root of the density (Panter and Dite 1951).
        """
        if len(self.values) <= runs:
            return self
        there = np.flatnonzero(np.diff(self.counts))
        gaps = np.diff(self.values[there], append=self.values[there[-1]])
        measure = np.cumsum(np.cbrt(np.diff(self.counts)[there] * gaps**2))
        last = np.searchsorted(measure, np.linspace(0, measure[-1], runs + 1)[1:-1], side="right")
        ends = there[np.minimum(last, len(there) - 1)] + 1
        cuts = np.unique(np.concatenate([[0], ends, [len(self.values)]]))
        return Points(self.values[cuts[:-1]], self.counts[cuts], self.sums[cuts], self.squares[cuts])


def _binned(numbers: Floats, least: float, most: float) -> tuple[Indices, Indices]:
    """Return each number's bin of BINS of equal width, and how many numbers each bin has."""
    bins, counts = np.empty(len(numbers), np.uint16), np.zeros(BINS, np.int64)
    scale = np.float32((BINS - 1) / (most - least)) if most > least else np.float32(0)
    for start in range(0, len(numbers), CHUNK):
        chunk = numbers[start : start + CHUNK] - np.float32(least)
        chunk *= scale
        part = bins[start : start + CHUNK]
        np.copyto(part, chunk, casting="unsafe")
        counts += np.bincount(part, minlength=BINS)
    return bins, counts


def optimal(points: Points, k: int) -> Floats:
    """Return at most k centroids of the least squared error, ascending, of the points thinned to runs.

    After j rounds, `error[e]` is the least error of the points before e in j clusters, and `starts[j][e]` is where the
    last of them begins. As e grows, so does that place: the search for the places in between is bounded on both sides.
    """
    points = points.thinned(max(FEWEST_RUNS, RUNS_PER_CENTROID * k))
    count = len(points.values)
    if k >= count:
        return _means(points, np.arange(count + 1))
    ends = np.arange(count + 1)
    error, starts = points.cost(np.zeros_like(ends), ends), []
    for _ in range(k - 1):
        error, start = _one_more_cluster(points, error)
        starts.append(start)
    cuts = [count]
    for start in reversed(starts):
        cuts.append(int(start[cuts[-1]]))
    return _means(points, np.unique([0, *cuts]))


def _one_more_cluster(points: Points, error: Floats) -> tuple[Floats, Indices]:
    """Return for every end e the least of error[s] + cost(s, e) over 0 <= s <= e, and the first such s."""
    last = len(error) - 1
    best, start = np.empty_like(error), np.empty(len(error), np.int64)
    best[0], start[0] = 0, 0
    stride = 1 << last.bit_length()
    while stride:
        ends = np.arange(stride, last + 1, 2 * stride)
        if len(ends):
            following = ends + stride
            lowest = start[ends - stride]
            highest = np.where(following <= last, start[np.minimum(following, last)], ends)
            highest = np.minimum(highest, ends)
            lengths = highest - lowest + 1
            first = np.cumsum(lengths) - lengths
            tried = np.arange(first[-1] + lengths[-1]) - np.repeat(first - lowest, lengths)
            values = error[tried] + points.cost(tried, np.repeat(ends, lengths))
            best[ends] = np.minimum.reduceat(values, first)
            hits = np.flatnonzero(values == np.repeat(best[ends], lengths))
            start[ends] = tried[hits[np.searchsorted(hits, first)]]
        stride //= 2
    return best, start


def _means(points: Points, cuts: Indices) -> Floats:
    """Return the mean of each run between two cuts, leaving out those without numbers."""
    counts = np.diff(points.counts[cuts])
    found: Floats = np.diff(points.sums[cuts])[counts > 0] / counts[counts > 0]
    return found


def linear(points: Points, k: int) -> Floats:
    """Return k centroids at equal distances from the least to the greatest number (Han et al. 2016, section 3.2)."""
    return np.linspace(points.values[0], points.values[-1], k)


def density(points: Points, k: int) -> Floats:
    """Return k centroids with as many numbers between any two of them (Han et al. 2016, section 3.2)."""
    wanted = (np.arange(k) + 0.5) / k * points.counts[-1]
    found: Floats = points.values[np.searchsorted(points.counts[1:], wanted)]
    return found


def chosen(points: Points, places: Floats) -> Floats:
    """Return the numbers at these places of their order, fractions from 0 to 1 (Forgy's choice if they are random)."""
    wanted = np.sort(places) * points.counts[-1]
    return np.unique(points.values[np.minimum(np.searchsorted(points.counts[1:], wanted), len(points.values) - 1)])


def lloyd(points: Points, centroids: Floats, iterations: int) -> Floats:
    """Move centroids to the mean of what is nearest to them, so many times or until none moves.

    One that nothing is nearest to stays where it is.
    """
    before: Indices | None = None
    for _ in range(iterations):
        cuts = _cuts(points, centroids)
        if before is not None and np.array_equal(cuts, before):
            break
        counts = np.diff(points.counts[cuts])
        centroids = np.where(counts > 0, np.diff(points.sums[cuts]) / np.maximum(counts, 1), centroids)
        before = cuts
    return centroids


def error(points: Points, centroids: Floats) -> float:
    """Return the squared error of the numbers to their nearest centroid."""
    cuts = _cuts(points, centroids)
    counts, sums = np.diff(points.counts[cuts]), np.diff(points.sums[cuts])
    squares = points.squares[-1] - 2 * (sums @ centroids) + counts @ centroids**2
    return max(float(squares), 0.0)


def assigned(numbers: Floats, points: Points, centroids: Floats) -> Indices:
    """Return the index of each number's nearest centroid (of a bin's, where the points are bins)."""
    borders = _borders(centroids)
    if points.bins is None:
        return np.searchsorted(borders, numbers)
    kind = np.uint8 if len(centroids) <= 256 else np.uint16
    table: Indices = np.searchsorted(borders, points.values).astype(kind)
    found: Indices = table[points.bins]
    return found


def _borders(centroids: Floats) -> Floats:
    return (centroids[1:] + centroids[:-1]) / 2


def _cuts(points: Points, centroids: Floats) -> Indices:
    """Return where the points of each centroid begin, and the end of the last."""
    inner = np.searchsorted(points.values, _borders(centroids), side="right")
    return np.concatenate([[0], inner, [len(points.values)]])
