"""Crowd: more points than a legend can number are drawn by family, and only the best of them have a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from compressbench.core.record import RunRecord
from compressbench.reporting.panel import Mark, Trace
from compressbench.reporting.pareto import front

MOST = 30
"""Rows that a panel numbers one by one."""
REACH = 6
"""How many times as far from the best as the median one the picture goes."""
CONTROLS = ("random_filters", "random_weights")


def family(record: RunRecord) -> str:
    """Return the family of what compressed the network: `pruning`; `stack` for several; `control`, `peer`, `dense`."""
    kinds = [stage.kind for stage in record.stages]
    found = {kind.split("/")[0] for kind in kinds if not kind.startswith(("training/", "coding/", "given"))}
    if any(kind.endswith(CONTROLS) for kind in kinds):
        return "control"
    return "stack" if len(found) > 1 else found.pop() if found else "dense"


def crowded(
    panels: Mapping[str, Sequence[Trace]], families: Sequence[str], sign: int
) -> tuple[dict[str, list[Trace]], list[str]]:
    """Return by panel a trace a family, and the labels of the rows that are on the Pareto front of a panel.

    panels: a trace a row, in the same order in each. families: of the rows. sign: 1 where more is better, else -1.
    Only the named rows keep their number beside their point. What scores far worse than the others is moved to where
    the picture ends, so that the others can be told apart.
    """
    from matplotlib import colormaps

    best: set[str] = set()
    for traces in panels.values():
        rows = [trace for trace in traces if trace.points]
        best |= {rows[place].label for place in front([(r.points[0].x, sign * r.points[0].y) for r in rows])}
    colors = {name: colormaps["tab10"](place % 10) for place, name in enumerate(sorted(set(families)))}
    drawn: dict[str, list[Trace]] = {}
    for panel, traces in panels.items():
        found = {name: Trace(name, color, joined=False) for name, color in colors.items()}
        end = _end([mark.y for trace in traces for mark in trace.points], sign)
        for trace, name in zip(traces, families, strict=True):
            points = [mark if trace.label in best else replace(mark, text="") for mark in trace.points]
            _put(found[name], replace(trace, points=points), end, sign)
        drawn[panel] = list(found.values())
    return drawn, [trace.label for trace in next(iter(panels.values())) if trace.label in best]


def _put(family: Trace, row: Trace, end: float, sign: int) -> None:
    """Add the marks of a row to those of its family."""
    for mark in row.points:
        inside = sign * mark.y >= sign * end
        (family.points if inside else family.beyond).append(mark if inside else Mark(mark.x, end, text=mark.text))
    family.before += [mark for mark in row.before if mark not in family.before]
    family.published += row.published


def _end(scores: Sequence[float], sign: int) -> float:
    best = max(scores, key=lambda score: sign * score)
    return best - REACH * (best - median(scores))
