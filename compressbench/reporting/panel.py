"""Panel: one pair of axes of a plot, accuracy against one cost, with labels that keep out of each other's way."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, pi, sin
from typing import Any

from compressbench.reporting.formatting import Estimate
from compressbench.reporting.pareto import front

DECADE = 10
"""An axis whose values span this factor is logarithmic."""
RADII_POINTS = (9, 13, 18, 25, 34, 46, 60, 76)
ANGLES = (-45, 45, 135, -135, 0, 90, 180, -90, 22, 67, 112, 157, -22, -67, -112, -157)
"""Where a label may stand around its point, in degrees, the best first."""
MARKER_PIXELS = 6
FORMAT = {"fontsize": 8, "color": "0.2"}

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Mark:
    """A point. x, y: in the axes' units, with a bar of `bar` to both sides of y. text: what stands beside it."""

    x: float
    y: float
    bar: float = 0.0
    text: str = ""


@dataclass
class Trace:
    """The points of one line, the networks they were made from, and what was published.

    beyond: points moved to where the picture ends. joined: whether a line goes through the points.
    """

    label: str
    color: Any
    points: list[Mark] = field(default_factory=list)
    before: list[Mark] = field(default_factory=list)
    published: list[Mark] = field(default_factory=list)
    beyond: list[Mark] = field(default_factory=list)
    joined: bool = True

    @property
    def measured(self) -> list[Mark]:
        """All points, those beyond the picture too."""
        return self.points + self.beyond

    def add(
        self,
        marks: list[Mark],
        text: str,
        cost: Estimate | None,
        score: Estimate | None,
        factors: tuple[float, float],
    ) -> None:
        """Add the point of these means to `marks`, if both were measured."""
        if cost and score:
            x, y = factors
            marks.append(Mark(cost.mean * x, score.mean * y, (score.spread or 0.0) * y, text))


class Panel:
    """A pair of axes being drawn."""

    def __init__(self, axes: Any, caption: str, name: str, higher_is_better: bool | None = True):
        self.axes, self.sign = axes, 1 if higher_is_better else -1
        self.traces: list[Trace] = []
        axes.set(xlabel=caption, ylabel=name)

    def fill(self, traces: list[Trace]) -> None:
        """Draw the traces, the networks before compression, what was published, and the Pareto front."""
        from matplotlib.ticker import LogLocator, StrMethodFormatter

        self.traces = [trace for trace in traces if trace.measured]
        for trace in self.traces:
            self._bars(trace.points, trace.label, fmt="o-" if trace.joined else "o", markersize=5, color=trace.color)
            self._bars(trace.beyond, "beyond the picture", fmt="v", markersize=5, color=trace.color)
            hollow = {"color": "0.35", "markersize": 8, "markerfacecolor": "none"}
            self._bars(trace.before, "before compression", fmt="o", **hollow)
            for mark in trace.published:
                self.axes.plot([mark.x], [mark.y], "x", color=trace.color, label="published accuracy")
        marks = [mark for trace in self.traces for mark in trace.measured]
        best = [marks[place] for place in front([(mark.x, self.sign * mark.y) for mark in marks])]
        style = {"where": "post", "linestyle": "--", "linewidth": 1, "color": "0.6", "zorder": 1}
        self.axes.step([mark.x for mark in best], [mark.y for mark in best], label="Pareto front", **style)
        costs = [mark.x for trace in self.traces for mark in (*trace.measured, *trace.before)]
        if costs and min(costs) > 0 and max(costs) >= DECADE * min(costs):
            self.axes.set_xscale("log")
            digits = (1, 3) if max(costs) >= DECADE**2 * min(costs) else (1, 2, 5)
            self.axes.xaxis.set_major_locator(LogLocator(subs=digits))
            self.axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
            self.axes.xaxis.set_minor_formatter("")
        self.axes.margins(0.1)
        self.axes.grid(alpha=0.3)

    def legend(self) -> dict[str, list[Any]]:
        """Return the legend's handles and labels: the lines first, then what they have in common."""
        handles, labels = self.axes.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        own = [trace.label for trace in self.traces if trace.points]
        order = [*own, *(label for label in unique if label not in own)]
        return {"handles": [unique[label] for label in order], "labels": order}

    def label(self) -> None:
        """Write the points' labels where they hide neither a point nor each other. The layout is settled by now."""
        taken = [
            self._box(mark) for trace in self.traces for mark in (*trace.measured, *trace.before, *trace.published)
        ]
        for trace in self.traces:
            for mark in (mark for mark in trace.measured if mark.text):
                taken.append(self._write(mark, trace.color, taken))

    def _bars(self, marks: list[Mark], label: str, **style: Any) -> None:
        if marks:
            bars = [mark.bar for mark in marks] if any(mark.bar for mark in marks) else None
            x, y = [mark.x for mark in marks], [mark.y for mark in marks]
            self.axes.errorbar(x, y, yerr=bars, capsize=3, label=label, **style)

    def _write(self, mark: Mark, color: Any, taken: list[Box]) -> Box:
        """Write one label and return where it stands: at the first free place, else the least crowded one."""
        note = self.axes.annotate(mark.text, (mark.x, mark.y), textcoords="offset points", xytext=(0, 0), **FORMAT)
        size = note.get_window_extent()
        note.remove()
        scale = self.axes.figure.dpi / 72
        x, y = self.axes.transData.transform((mark.x, mark.y))
        frame = self.axes.bbox
        places: list[tuple[int, int, Box, int]] = []
        for radius in RADII_POINTS:
            for angle in ANGLES:
                dx, dy = radius * cos(angle * pi / 180), radius * sin(angle * pi / 180)
                left, low = x + dx * scale - (dx < -1) * size.width, y + dy * scale - size.height / 2
                left -= (abs(dx) <= 1) * size.width / 2
                box = (left, low, left + size.width, low + size.height)
                outside = box[0] < frame.x0 or box[2] > frame.x1 or box[1] < frame.y0 or box[3] > frame.y1
                places.append((outside * 10 + sum(_overlap(box, other) for other in taken), len(places), box, radius))
        _, _, box, radius = min(places)
        at = ((box[0] - x) / scale, (box[1] - y) / scale)
        arrow = {"arrowstyle": "-", "color": color, "linewidth": 0.5} if radius > RADII_POINTS[1] else None
        style = {"textcoords": "offset points", "va": "bottom", "arrowprops": arrow, **FORMAT}
        self.axes.annotate(mark.text, (mark.x, mark.y), xytext=at, **style)
        return box

    def _box(self, mark: Mark) -> Box:
        """Return the pixels that a point and its bar take."""
        x, low = self.axes.transData.transform((mark.x, mark.y - mark.bar))
        _, high = self.axes.transData.transform((mark.x, mark.y + mark.bar))
        return x - MARKER_PIXELS, low - MARKER_PIXELS, x + MARKER_PIXELS, high + MARKER_PIXELS


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
