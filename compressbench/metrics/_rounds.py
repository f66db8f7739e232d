"""Times of several ways to do something, taken in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch

FEWEST_ROUNDS = 5
SECONDS_A_TURN = 0.02
"""A turn repeats what it times until it takes as long, so that the clock's own cost does not count."""


class Ratio(NamedTuple):
    """median: of the ratios of all rounds. spread: from their lower to their upper quartile."""

    median: float
    spread: float


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread; afterwards with as many as before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def take_turns(works: Mapping[str, Callable[[], object]], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return the seconds one call of each takes, one entry a round.

    Every round lets each have its turn, every other round in reverse, so that what a neighbour or the clock rate does
    to one it does to all. Rounds stop after `seconds`, but not before the fifth. The clock is the processor time of
    this process: with one thread it is the time that passes on a machine with nothing else to do.
    """
    repeats = {name: _repeats(work) for name, work in works.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    start = time.monotonic()
    for number in range(rounds):
        if number >= FEWEST_ROUNDS and time.monotonic() - start > seconds:
            break
        for name in list(works) if number % 2 else reversed(list(works)):
            begin = time.process_time()
            for _ in range(repeats[name]):
                works[name]()
            times[name].append((time.process_time() - begin) / repeats[name])
    return times


def ratio(slow: list[float], fast: list[float]) -> Ratio:
    """Return how many times as long the first takes, round by round."""
    ratios = [one / other for one, other in zip(slow, fast, strict=True)]
    quarters = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(quarters[1], quarters[2] - quarters[0])


def _repeats(work: Callable[[], object]) -> int:
    """Return how often a turn calls it. The first call, which may set things up, does not count."""
    work()
    begin = time.process_time()
    work()
    return max(1, round(SECONDS_A_TURN / max(time.process_time() - begin, 1e-6)))
