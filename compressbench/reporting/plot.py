"""Plot: accuracy against multiply-adds and against size, of the rows of a table or the points of a sweep."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from compressbench.core.faults import PlanError, suggestion
from compressbench.core.record import RunRecord
from compressbench.reporting.figures import Estimate, estimate, listed

AXES = {"macs": ("MACs of one image, millions", 1e-6), "size_bytes": ("file, kB", 1e-3)}
FORMATS = (".png", ".svg", ".pdf")
POOLED = ("seed", "recipe")
"""Swept keys that do not make a point: seeds are averaged, a recipe is its row."""

Line = dict[str, list[RunRecord]]
"""The points of a line in their order, each with its runs, one a seed; the label is the swept value, or empty."""


def plot(records: Iterable[RunRecord], path: Path, title: str = "") -> Path:
    """Write a picture of top1 after the final stage against `macs` and `size_bytes`, and return its path.

    A line of panels a dataset and protocol. Runs that differ only in their seed are one point, the mean, with a bar of
    one sample standard deviation. Points of a sweep over a number are joined in the order of that number and labelled
    with it. The trained network before compression is drawn hollow, the published accuracy of a row as a cross, at our
    cost if the paper prints no MACs. PlanError for another kind of file, if no record has a finished run with an
    accuracy, or if the file cannot be written.
    """
    if path.suffix not in FORMATS:
        raise PlanError.of("plot", f"{path} has the ending {path.suffix!r}; {suggestion(path.suffix, FORMATS)}")
    panels = lines(list(records))
    if not panels:
        raise PlanError.of("plot", "there is nothing to plot: no finished run has measured top1")
    from matplotlib.figure import Figure  # no pyplot: it would keep global state and look for a screen

    figure = Figure(figsize=(12, 4.5 * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), len(AXES), sharey="row", squeeze=False)
    for row, (name, found) in zip(grid, panels.items(), strict=True):
        for axes, (measure, (caption, factor)) in zip(row, AXES.items(), strict=True):
            for index, (label, line) in enumerate(found.items()):
                _draw(axes, label, line, measure, factor, _color(index, len(found)))
            axes.set_xlabel(caption)
            axes.margins(0.08)
            axes.grid(alpha=0.3)
        row[0].set_ylabel(f"{name}\ntop1, %")
        handles, labels = row[-1].get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        row[-1].legend(unique.values(), unique.keys(), fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.suptitle(title)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
    except OSError as error:
        raise PlanError.of("plot", f"cannot write {path}: {error.strerror}") from error
    return path


def lines(records: list[RunRecord]) -> dict[str, dict[str, Line]]:
    """Return, by dataset and protocol, what is drawn as one line: a row, or the points of a sweep over a number."""
    usable = [r for r in records if r.status == "finished" and r.networks and "top1" in r.final.measurements]
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
    numeric = [key for key, found in values.items() if all(map(_is_number, found))]
    return max(numeric, key=lambda key: len(values[key]), default="")


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False


def measured(records: list[RunRecord], name: str) -> Estimate | None:
    """Return a measure of the final stage over these runs."""
    return estimate([record.final.measurements[name] for record in records if name in record.final.measurements])


def _color(index: int, count: int) -> Any:
    from matplotlib import colormaps

    return colormaps["tab10" if count <= 10 else "tab20"](index % 20)


def _draw(axes: Any, label: str, line: Line, measure: str, factor: float, color: Any) -> None:
    shown = [(text, measured(runs, measure), measured(runs, "top1")) for text, runs in line.items()]
    points = [(text, cost.mean * factor, top1) for text, cost, top1 in shown if cost and top1]
    if not points:
        return
    x, y = [point[1] for point in points], [point[2].mean * 100 for point in points]
    spread = [(point[2].spread or 0) * 100 for point in points]
    bars = spread if any(spread) else None
    axes.errorbar(x, y, yerr=bars, fmt="o-", markersize=5, capsize=3, color=color, label=label)
    for (text, *_), place in zip(points, zip(x, y, strict=True), strict=True):
        axes.annotate(text, place, textcoords="offset points", xytext=(5, -11), fontsize=8, color=color)
    for cost, top1 in dict.fromkeys(before(runs, measure) for runs in line.values()):
        if cost and top1:  # of points that share their trained network it is drawn once
            style = {"markersize": 8, "markerfacecolor": "none", "capsize": 3, "label": "before compression"}
            bar = top1.spread * 100 if top1.spread else None
            axes.errorbar([cost.mean * factor], [top1.mean * 100], yerr=bar, fmt="o", color="0.35", **style)
    record = next(iter(line.values()))[0]
    published, as_it_is = record.reference, record.swept.keys() <= set(POOLED)
    if as_it_is and published.get("top1") is not None and published.get("dataset") == record.dataset["name"]:
        at = published["macs"] * factor if measure == "macs" and published.get("macs") else x[0]
        axes.plot([at], [published["top1"] * 100], "x", color=color, label="published accuracy")


def before(records: list[RunRecord], measure: str) -> tuple[Estimate | None, Estimate | None]:
    """Return cost and accuracy of the trained network that these runs compressed."""
    found = [first.measurements for run in records if (first := run.before) and first is not run.final]
    cost, top1 = ([figures[name] for figures in found if name in figures] for name in (measure, "top1"))
    return estimate(cost), estimate(top1)
