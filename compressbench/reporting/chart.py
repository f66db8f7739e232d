"""Chart: what a page in HTML draws by itself: points with all their figures, so that the axes can be chosen there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from compressbench.core.budget import Reference
from compressbench.core.metric import MetricSpec
from compressbench.core.record import RunRecord
from compressbench.core.specs import columns, costs, costs_of_tables, scores, specs_of
from compressbench.core.sweep import are_numbers, shortened
from compressbench.reporting import formatting
from compressbench.reporting.crowd import family
from compressbench.reporting.plot import POOLED, Line, before, lines, measured

Take = Callable[[list[RunRecord], str], formatting.Estimate | None]
"""What finds a metric over runs: of their final stage, or of the network before compression."""
POINT, BEFORE, PUBLISHED = "point", "before", "published"


@dataclass(frozen=True)
class ChartPoint:
    """A point. short: what stands beside it. values, spreads: by metric in the units of its axis, and by a swept key
    that is a number. settings: what was swept, in words or as a number. seeds: how many it is the mean of."""

    label: str
    short: str
    group: str
    kind: str
    values: dict[str, float]
    spreads: dict[str, float] = field(default_factory=dict)
    settings: dict[str, float | str] = field(default_factory=dict)
    seeds: int = 1


@dataclass(frozen=True)
class Chart:
    """Points on one dataset under one protocol. x, y: what may stand on the axes, the first one at the beginning.

    captions: of each. better: 1 where more of a score is better, else -1. groups: those that share a colour. joined: of
    these what a line joins. parallel: the axes beside each other, without the score.
    """

    title: str
    x: list[str]
    y: list[str]
    captions: dict[str, str]
    better: dict[str, int]
    groups: list[str]
    joined: list[str]
    parallel: list[str]
    points: list[ChartPoint]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def charts(records: Sequence[RunRecord]) -> list[Chart]:
    """Return a chart a dataset and protocol, of rows of a table or points of a sweep; seeds averaged."""
    return [_chart(title, found) for title, found in lines(list(records)).items()]


def _chart(title: str, found: dict[str, Line]) -> Chart:
    runs = [run for line in found.values() for each in line.values() for run in each]
    specs, primary = specs_of(runs), runs[0].primary
    least = [*costs(specs), *costs_of_tables(specs)]
    there = {name for run in runs for name in run.final.metrics}
    ys = [specs[primary], *(spec for spec in scores(specs) if spec.heading and spec.name != primary)]
    xs = [spec for spec in least if spec.name in there]
    xs += [spec for spec in columns(specs) if spec.name in there and spec not in (*xs, *ys)]
    keys = _swept(runs)
    numeric = [key for key in keys if are_numbers(run.swept[key] for run in runs if key in run.swept)]
    called = dict(zip(keys, shortened(keys), strict=True))
    shown = {spec.name: spec for spec in (*ys, *xs)}
    joins = any(map(any, found.values()))
    alone = len({run.row for run in runs}) == 1
    points: list[ChartPoint] = []
    for label, line in found.items():
        label = label.removeprefix(f"{runs[0].row}, ") if alone else label
        group = label if joins else family(next(iter(line.values()))[0])
        for text, each in line.items():
            points += _points(label, text, group, each, shown, numeric)
    points.sort(key=lambda point: point.kind == POINT)  # what lies behind first
    groups = list(dict.fromkeys(point.group for point in points if point.kind == POINT))
    captions = {spec.name: formatting.axis(spec)[0] for spec in shown.values()} | called
    return Chart(
        title,
        [*(spec.name for spec in xs), *numeric],
        [spec.name for spec in ys if spec.name in there],
        captions,
        {spec.name: 1 if spec.higher_is_better else -1 for spec in ys},
        groups,
        groups if joins else [],
        [*keys, *(spec.name for spec in xs[:1])] if keys else [],
        points,
    )


def _swept(runs: Sequence[RunRecord]) -> list[str]:
    """Return the swept keys but those that make no point: seeds, and a recipe, which is a label."""
    keys = dict.fromkeys(key for run in runs for key in run.swept if key not in POOLED)
    return [key for key in keys if len({run.swept.get(key) for run in runs}) > 1]


def _points(
    label: str, text: str, group: str, runs: list[RunRecord], shown: dict[str, MetricSpec], numeric: Sequence[str]
) -> list[ChartPoint]:
    """Return the point that seeds make, the network before compression, and what was published of the row."""
    swept = {key: value for key, value in runs[0].swept.items() if key not in POOLED}
    settings = {key: float(value) if key in numeric else value for key, value in swept.items()}
    at = {key: float(value) for key, value in swept.items() if key in numeric}
    point, spreads = _figures(runs, shown, measured)
    name = ", ".join(filter(None, [label, text]))
    short = text or ", ".join(value.rpartition("/")[2] for value in swept.values()) or runs[0].row
    found = [ChartPoint(name, short, group, POINT, {**point, **at}, spreads, settings, len(runs))]
    if (start := _figures(runs, shown, before))[0]:
        found.append(ChartPoint("before compression", "", "", BEFORE, *start, seeds=len(runs)))
    published = Reference.of(runs[0].reference).figures
    if not text and runs[0].reference.get("dataset") == runs[0].dataset["name"]:
        said = {key: published[key] * formatting.axis(spec)[1] for key, spec in shown.items() if published.get(key)}
        missing = {key: value for key, value in point.items() if key not in said and not shown[key].on_data}
        if runs[0].primary in said:
            found.append(ChartPoint(f"{label}, as published", "", group, PUBLISHED, {**missing, **said}))
    return found


def _figures(
    runs: list[RunRecord], shown: dict[str, MetricSpec], take: Take
) -> tuple[dict[str, float], dict[str, float]]:
    """Return means and spreads by metric, in the units of its axis."""
    means, spreads = {}, {}
    for name, spec in shown.items():
        value, factor = take(runs, name), formatting.axis(spec)[1]
        if value is not None:
            means[name] = value.mean * factor
            if value.spread:
                spreads[name] = value.spread * factor
    return means, spreads
