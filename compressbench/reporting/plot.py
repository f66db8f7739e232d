"""Plot: the primary metric against what it costs (bytes, times, multiply-adds); of rows, or points of a sweep."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from compressbench.core.budget import Reference
from compressbench.core.errors import PlanError, suggestion
from compressbench.core.metric import MetricSpec
from compressbench.core.record import RunRecord
from compressbench.core.specs import costs, costs_of_tables, specs_of
from compressbench.core.sweep import are_numbers
from compressbench.reporting import formatting
from compressbench.reporting.crowd import MOST, crowded, family
from compressbench.reporting.formatting import Estimate, estimate, listed
from compressbench.reporting.panel import Mark, Panel, Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AT_MOST = 3
"""Panels beside each other."""
FORMATS = (".png", ".svg", ".pdf")
POOLED = ("seed", "recipe")
"""Swept keys that do not make a point: seeds are averaged, a recipe is its row."""
SAME = 1.01
"""An axis whose values all lie within this factor says nothing, and is left out."""

Line = dict[str, list[RunRecord]]
"""The points of a line in their order, each with its runs, one a seed; the label is the swept value, or empty."""


def plot(records: Iterable[RunRecord], path: Path, title: str = "") -> Path:
    """Write a picture of the primary metric after the final stage against what it costs, and return its path.

    A line of panels a dataset and protocol; a panel for each cost, as `axes_of` says. Runs that
    differ only in their seed are one point, the mean, with a bar of one sample standard deviation. Points of a sweep
    over a number are joined in the order of that number and labelled with it; other points are numbered, and the
    legend says which is which. The trained network before compression is drawn hollow, the published accuracy of a
    row as a cross, at our cost if the paper prints none; a dashed line joins the points that no other one beats.
    Of more than 30 rows only those that no other one beats are numbered; the others have the colour of their family.
    PlanError for another kind of file, if no record has a finished run with an accuracy, or if the file cannot be
    written.
    """
    if path.suffix not in FORMATS:
        raise PlanError.of("plot", f"{path} has the ending {path.suffix!r}; {suggestion(path.suffix, FORMATS)}")
    panels = lines(list(records))
    if not panels:
        raise PlanError.of("plot", "there is nothing to plot: no finished run has measured its primary metric")
    figure = _figure(panels, title)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
    except OSError as error:
        raise PlanError.of("plot", f"cannot write {path}: {error.strerror}") from error
    return path


def lines(records: list[RunRecord]) -> dict[str, dict[str, Line]]:
    """Return, by dataset and protocol, what is drawn as one line: a row, or the points of a sweep over a number."""
    usable = [r for r in records if r.status == "finished" and r.networks and r.primary in r.final.metrics]
    axis = _axis(usable)
    panels: dict[str, dict[str, Line]] = {}
    for record in sorted(usable, key=lambda record: float(record.swept.get(axis, 0))):
        others = {key: value for key, value in record.swept.items() if key not in (axis, *POOLED)}
        label = ", ".join([record.row, *(f"{key.rpartition('.')[2]}={value}" for key, value in others.items())])
        panel = panels.setdefault(listed(record.dataset["name"], record.protocol), {})
        panel.setdefault(label, {}).setdefault(record.swept.get(axis, ""), []).append(record)
    return panels


def _axis(records: list[RunRecord]) -> str:
    """Return the swept key whose values are numbers, the one with most of them; empty if there is none."""
    values: dict[str, set[str]] = {}
    for key, value in (item for record in records for item in record.swept.items() if item[0] not in POOLED):
        values.setdefault(key, set()).add(value)
    numeric = [key for key, found in values.items() if are_numbers(found)]
    return max(numeric, key=lambda key: len(values[key]), default="")


def measured(records: list[RunRecord], name: str) -> Estimate | None:
    """Return a metric of the final stage over these runs."""
    return estimate([record.final.metrics[name] for record in records if name in record.final.metrics])


def axes_of(panels: dict[str, dict[str, Line]]) -> dict[str, tuple[str, float]]:
    """Return by metric the caption and the unit of every axis: bytes, and the times of small tables, or where there are
    none the other costs, at most `AT_MOST`. Left out: an axis on which all points of every panel lie at one place."""
    every = [[run for line in found.values() for runs in line.values() for run in runs] for found in panels.values()]
    specs = specs_of(run for runs in every for run in runs)
    least = costs(specs)
    first = [spec for spec in least if spec.unit == "bytes"]
    measured = {name for runs in every for run in runs for name in run.final.metrics}
    timed = [spec for spec in costs_of_tables(specs) if spec.name in measured]
    wanted = [*first, *(timed or [spec for spec in least if spec not in first])]
    telling = {}
    for spec in wanted:
        values = [[end[spec.name] for run in runs for end in _ends(run) if spec.name in end] for runs in every]
        if any(found and max(found) > SAME * min(found) for found in values):
            telling[spec.name] = formatting.axis(spec)
    return dict(list(telling.items())[:AT_MOST]) or {spec.name: formatting.axis(spec) for spec in wanted[:1]}


def _figure(panels: dict[str, dict[str, Line]], title: str) -> Figure:
    from matplotlib.figure import Figure  # no pyplot: it would keep global state and look for a screen

    axes = axes_of(panels)
    heights = [max(4.5, 1 + 0.19 * (min(len(found), MOST) + 3)) for found in panels.values()]
    widths = [5.2 if len(axes) > 1 else 8.0] * len(axes) + [3.0]
    figure = Figure(figsize=(sum(widths), sum(heights)), layout="constrained")
    grid = figure.subplots(len(panels), len(widths), squeeze=False, width_ratios=widths, height_ratios=heights)
    drawn = []
    for row, (name, found) in zip(grid, panels.items(), strict=True):
        scored = _score(found)
        label = formatting.axis(scored)[0]
        traces = {
            metric: [_trace(*line, metric, factor, n, len(found)) for n, line in enumerate(found.items())]
            for metric, (_, factor) in axes.items()
        }
        named: list[str] = []
        if len(found) > MOST and not any(map(any, found.values())):
            families = [family(line[""][0]) for line in found.values()]
            traces, named = crowded(traces, families, 1 if scored.higher_is_better else -1)
        for place, (metric, (caption, _)) in zip(row, axes.items(), strict=False):
            panel = Panel(place, caption, f"{name}\n{label}" if place is row[0] else "", scored.higher_is_better)
            panel.fill(traces[metric])
            drawn.append(panel)
        row[-1].axis("off")
        legend = drawn[-1].legend()
        legend["handles"] += [row[-1].plot([], [], " ")[0] for _ in named]
        legend["labels"] += named
        row[-1].legend(**legend, fontsize=8, loc="center left")
    figure.suptitle(title)
    figure.draw_without_rendering()  # settles where everything is, so that labels can keep out of each other's way
    for panel in drawn:
        panel.label()
    return figure


def _trace(label: str, line: Line, metric: str, factor: float, index: int, count: int) -> Trace:
    """Return what is drawn of one line in one panel."""
    from matplotlib import colormaps

    joined, record = any(line), next(iter(line.values()))[0]
    score, scale = record.primary, formatting.axis(record.metric_specs[record.primary])[1]
    color = colormaps["tab10" if count <= 10 else "tab20"](index % 20)
    found = Trace(label if joined else f"{index + 1}  {label}", color)
    for text, runs in line.items():
        scores = measured(runs, score), before(runs, score)
        found.add(found.points, text or str(index + 1), measured(runs, metric), scores[0], (factor, scale))
        found.add(found.before, "", before(runs, metric), scores[1], (factor, scale))
    found.before = list(dict.fromkeys(found.before))  # of points that share their trained network it is drawn once
    published = Reference.of(record.reference).figures
    same_data = record.reference.get("dataset") == record.dataset["name"]
    if not joined and found.points and published.get(score) and same_data:
        at = published[metric] * factor if published.get(metric) else found.points[0].x
        found.published.append(Mark(at, published[score] * scale))
    return found


def _ends(record: RunRecord) -> list[dict[str, float]]:
    """Return the figures of the trained network, if it was compressed, and those of the final stage."""
    first, final = record.before, record.final.metrics
    return [final] if first is None or first is record.final else [first.metrics, final]


def before(records: list[RunRecord], metric: str) -> Estimate | None:
    """Return a metric of the trained network that these runs compressed."""
    found = [ends[0] for record in records if len(ends := _ends(record)) == 2]
    return estimate([figures[metric] for figures in found if metric in figures])


def _score(lines: dict[str, Line]) -> MetricSpec:
    """Return the primary metric of what is drawn in one line of panels."""
    record = next(run for line in lines.values() for runs in line.values() for run in runs)
    return record.metric_specs[record.primary]
