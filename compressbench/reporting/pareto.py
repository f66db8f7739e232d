"""Pareto: the points that no other one beats in both cost and accuracy."""

from __future__ import annotations

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the places of the best of (cost, accuracy), the cheapest first: none of the others costs as little or
    less with as much accuracy or more, one of both being better. Equal points are all best."""
    best = float("-inf")
    found: list[int] = []
    order = sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1]))
    for place in order:
        cost, accuracy = points[place]
        if accuracy > best or (found and points[found[-1]] == (cost, accuracy)):
            best = accuracy
            found.append(place)
    return found
