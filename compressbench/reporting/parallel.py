"""Parallel coordinates: a line a point, from axis to axis over all that was swept, to its cost and its score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compressbench.core.errors import PlanError
from compressbench.core.record import RunRecord
from compressbench.reporting.chart import POINT, Chart, ChartPoint, charts

MOST_TICKS = 12
"""Values that an axis shows; of more only the ends."""
WORSE_TO_BETTER = ("#a6611a", "#bdbdbd", "#2166ac")
FEWEST_AXES = 3
"""Two, one of them a cost, say no more than the plot against that cost."""


def parallel(records: Sequence[RunRecord], path: Path, title: str = "") -> Path | None:
    """Write a picture of the points of a sweep over several keys, a row of axes a dataset and protocol, and return its
    path; None if fewer were swept. Seeds are averaged; blue lines score better, brown ones worse.

    PlanError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    found = [chart for chart in charts(records) if len(chart.parallel) >= FEWEST_AXES]
    if not found:
        return None
    widest = max(len(chart.parallel) for chart in found)
    figure = Figure(figsize=(2.2 * (widest + 1), 4.2 * len(found)), layout="constrained")
    for place, chart in zip(figure.subplots(len(found), 1, squeeze=False)[:, 0], found, strict=True):
        _draw(place, chart)
    figure.suptitle(title)
    try:
        figure.savefig(path, dpi=130)
    except OSError as error:
        raise PlanError.of("plot", f"cannot write {path}: {error.strerror}") from error
    return path


def _draw(place: Any, chart: Chart) -> None:
    """Draw the axes, from 0 to 1 each, and a line a point."""
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("worse to better", WORSE_TO_BETTER)
    score = chart.y[0]
    keys = [*chart.parallel, score]
    points = [point for point in chart.points if point.kind == POINT and score in point.values]
    columns = [[_value(point, key) for point in points] for key in keys]
    shades = _heights([chart.better[score] * point.values[score] for point in points])
    for line, shade in zip(zip(*map(_heights, columns), strict=True), shades, strict=True):
        place.plot(range(len(keys)), line, color=colors(shade), linewidth=1.4)
    for across, values in enumerate(columns):
        place.axvline(across, color="0.5", linewidth=1, zorder=0)
        ticks = dict(zip(map(_text, values), _heights(values), strict=True))
        few = ticks if len(ticks) <= MOST_TICKS else {text: ticks[text] for text in _ends(values)}
        for text, height in few.items():
            halo = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
            place.text(across + 0.03, height, text, fontsize=8, va="center", bbox=halo)
    place.set_xticks(range(len(keys)), [chart.captions[key] for key in keys])
    place.xaxis.tick_top()
    place.set(yticks=[], xlim=(-0.1, len(keys) - 0.6), title=chart.title)
    place.spines[:].set_visible(False)


def _value(point: ChartPoint, key: str) -> float | str:
    return point.values[key] if key in point.values else point.settings.get(key, "")


def _heights(values: Sequence[float | str]) -> list[float]:
    """Return where values stand on an axis from 0 to 1: numbers to scale, words in their order."""
    numbers = [value for value in values if isinstance(value, float)]
    if len(numbers) < len(values):
        order = list(dict.fromkeys(values))
        numbers = [float(order.index(value)) for value in values]
    low, high = min(numbers), max(numbers)
    return [(number - low) / (high - low) if high > low else 0.5 for number in numbers]


def _ends(values: Sequence[float | str]) -> list[str]:
    """Return the text of the least and of the largest value."""
    ordered = sorted(values, key=lambda value: (isinstance(value, str), value))
    return [_text(ordered[0]), _text(ordered[-1])]


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.4g}"
