"""Sweep page: the answer of a sweep, a row a point: the means over its seeds, the budget, and which points are best."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from math import isnan
from typing import TYPE_CHECKING, Any

from compressbench.core.errors import PlanError, suggestion
from compressbench.core.metric import MetricSpec
from compressbench.core.record import RunRecord
from compressbench.core.specs import primary_of, specs_of
from compressbench.core.sweep import Outcome, SweepRecord, are_numbers, shortened, worded
from compressbench.reporting import formatting
from compressbench.reporting.frame import cost_of, points_frame
from compressbench.reporting.page import Grid, Page
from compressbench.reporting.sweep_columns import columns_of, optional

if TYPE_CHECKING:
    from pandas import DataFrame, Series

SAME = 1e-3
"""Costs of seeds that differ by less than this share are shown without a spread: there is room for the others."""


def sweep_page(sweep: SweepRecord, records: list[RunRecord], sort: str = "") -> Page:
    """Return the answer of a sweep. records: its runs that have a result, as `SweepRecord.records` returns them.

    sort: as `sweep_points` takes it.
    """
    keys = swept_keys(sweep, records)
    over = [key for key in keys if key != "seed"] or ["recipe"]
    short = dict(zip(over, shortened(over), strict=True))
    what = "" if "recipe" in keys else "".join(f"{name} " for name in _recipes(sweep, records))
    page = Page(f"sweep {sweep.sweep}: {what}over {', '.join(short.values() if keys != ['seed'] else keys)}")
    if sweep.overrides:
        page.commands = [f"compressbench run -m {shlex.join(sweep.overrides)}"]
    failed = [outcome for outcome in sweep.outcomes if outcome.error]
    if records:
        points = sweep_points(sweep, records, sort)
        page.introduction = [_extent(sweep, records, points), *_budget(sweep, records, points)]
        page.grids.append(_grid(sweep, records, points, short))
        page.remarks = _remarks(records, points, _sorted_by(sweep, records, points, sort))
    else:
        page.introduction = ["No run has a result."]
    if failed:
        page.introduction.append(f"{len(failed)} of {len(sweep.outcomes)} runs failed:")
        page.introduction += [f"{_called(outcome, len(sweep.outcomes))}: {outcome.error}" for outcome in failed]
    return page


def swept_keys(sweep: SweepRecord, records: Sequence[RunRecord]) -> list[str]:
    """Return the keys that were swept, in order."""
    found = [*(outcome.values for outcome in sweep.outcomes), *(record.swept for record in records)]
    return list(dict.fromkeys(key for values in found for key in values))


def sweep_points(sweep: SweepRecord, records: Sequence[RunRecord], sort: str = "") -> DataFrame:
    """Return the points in order: by what was swept if any of it is a number, words as they were given, else the best
    first.

    sort: a metric, the best first, or a swept key, whole or its last part, before the others. PlanError if it is none.
    """
    from pandas import factorize, to_numeric

    keys = [key for key in swept_keys(sweep, records) if key != "seed"]
    points, specs = points_frame(records, keys), specs_of(records)
    first = _sorted_by(sweep, records, points, sort)[:1]
    if first and first[0] in specs:
        return points.sort_values(first, ascending=not specs[first[0]].higher_is_better, kind="stable")

    def place(column: Series[Any]) -> Any:
        return to_numeric(column) if are_numbers(column) else factorize(column)[0]

    return points.sort_values([*first, *(key for key in keys if key not in first)], key=place, kind="stable")


def _sorted_by(sweep: SweepRecord, records: Sequence[RunRecord], points: DataFrame, sort: str) -> list[str]:
    """Return the columns that points are sorted by: a metric, or swept keys. PlanError for what is neither."""
    keys = [key for key in swept_keys(sweep, records) if key != "seed"]
    specs, primary = specs_of(records), primary_of(records)
    called = dict(zip(shortened(keys), keys, strict=True)) | {key: key for key in keys}
    figures = {name: name for name in specs if name in points}
    if sort:
        found = (called | figures).get(sort)
        if found is None:
            raise PlanError.of("--sort", f"there is no {sort!r} here; {suggestion(sort, called | figures)}")
        return [found]
    if any(are_numbers(points[key]) for key in keys):
        return keys
    return [primary] if primary in figures else keys


def points_csv(sweep: SweepRecord, records: Sequence[RunRecord], sort: str = "") -> str:
    """Return the points as CSV of plain numbers, then every run that failed, with the reason as `error`."""
    from pandas import DataFrame, concat

    tables = [sweep_points(sweep, records, sort).astype(object)] if records else []
    failed = [{**outcome.values, "error": outcome.error} for outcome in sweep.outcomes if outcome.error]
    return concat([*tables, DataFrame(failed)]).to_csv(index=False)


def _grid(sweep: SweepRecord, records: list[RunRecord], points: DataFrame, short: dict[str, str]) -> Grid:
    told = [name for name in ("dataset", "protocol") if name not in short and points[name].nunique() > 1]
    shown = {heading: found for heading, found in columns_of(records).items() if found[0] in points}
    for name, spec in specs_of(records).items():
        if spec.sparse_for in points and name in points and (points[name] == points[spec.sparse_for]).all():
            shown.pop(formatting.title(spec), None)
    headings = [*short.values(), *told, "seeds", *shown, "budget", "Pareto"]
    grid = Grid("", headings, left=len(short) + len(told), optional=optional(records, list(shown)))
    specs = specs_of(records)
    several = any(len(_limits(record)) > 1 for record in records)
    before = _before(records)
    if before:
        named = ["before", *[""] * (len(short) + len(told) - 1)]
        values = [shape(before.get(name)) for name, shape in shown.values()]
        grid.rows.append([*named, str(max(value.seeds for value in before.values())), *values, "", ""])
    for _, point in points.iterrows():
        words = [str(point[key]) for key in (*short, *told)]
        values = [shape(_estimate(point, name, specs.get(name))) for name, shape in shown.values()]
        wanted = sum(_is_of(outcome, point, list(short)) for outcome in sweep.outcomes)
        seeds = str(point["seeds"]) if point["seeds"] >= wanted else f"{point['seeds']} of {wanted}"
        budget = point["budget"] if several else point["budget"].partition(":")[0]
        budget += ", best" if point["best"] else ""
        grid.rows.append([*words, seeds, *values, budget, "best" if point["pareto"] else ""])
    return grid.without_empty_columns()


def _recipes(sweep: SweepRecord, records: list[RunRecord]) -> list[str]:
    """Return the recipe, which a sweep without any result only has in its overrides."""
    written = [text.removeprefix("recipe=") for text in sweep.overrides if text.startswith("recipe=")]
    return list(dict.fromkeys(record.recipe for record in records)) or written


def _extent(sweep: SweepRecord, records: list[RunRecord], points: DataFrame) -> str:
    seeds = sorted({record.seed for record in records})
    told = [", ".join(dict.fromkeys(points[name])) for name in ("dataset", "protocol")]
    total = _point_count(sweep, points)
    numbers = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    return "; ".join([f"{total} point{'s' if total > 1 else ''}", numbers, *told])


def _budget(sweep: SweepRecord, records: list[RunRecord], points: DataFrame) -> list[str]:
    """Return how many points meet the budget, with all their seeds; nothing if there is none."""
    budgets = [_limits(record) for record in records]
    if not any(budgets):
        return []
    met, same = int((points["budget"] == "met").sum()), all(budget == budgets[0] for budget in budgets)
    limits = ", ".join(f"{key} {value:,.12g}" for key, value in budgets[0].items())
    return [f"{met} of {_point_count(sweep, points)} points meet the budget{f' ({limits})' if same else ''}"]


def _remarks(records: list[RunRecord], points: DataFrame, by: list[str]) -> list[str]:
    specs = specs_of(records)
    name = specs[primary_of(records)].heading if primary_of(records) in points else "what was given"
    columns = [specs[by[0]].heading or by[0]] if by and by[0] in specs else shortened(by)
    said = [f"Sorted by {', '.join(columns) or 'what was given'}."]
    cost = cost_of(records)
    if points["pareto"].any() and cost:
        said.append(f"Pareto, best: no other point has a better {name} and less of {cost.heading} (means over seeds).")
    if points["best"].any():
        said.append(f"met, best: of the points that meet the same budget the one with the best {name}.")
    said.append(
        f"change: {name} after minus before compression, paired by seed; ±: sample standard deviation over seeds."
    )
    return said


def _before(records: list[RunRecord]) -> dict[str, formatting.Estimate]:
    """Return the figures before compression, if all points of a seed start from the same network; else nothing."""
    starts = {(record.dataset["name"], first.stage_id): first for record in records if (first := record.before)}
    if not starts or len(starts) != len({record.seed for record in records}):
        return {}
    if any(record.before in (None, record.final) for record in records):
        return {}
    found = [first.metrics for first in starts.values()]
    estimates = {name: formatting.estimate([each[name] for each in found if name in each]) for name in found[0]}
    specs = specs_of(records)
    return {name: _quiet(specs.get(name), value) for name, value in estimates.items() if value is not None}


def _estimate(point: Series[Any], name: str, spec: MetricSpec | None) -> formatting.Estimate | None:
    mean, spread = float(point[name]), float(point[f"{name}_spread"])
    if isnan(mean):
        return None
    return _quiet(spec, formatting.Estimate(mean, None if isnan(spread) else spread, int(point["seeds"])))


def _quiet(spec: MetricSpec | None, value: formatting.Estimate) -> formatting.Estimate:
    """Return an estimate of a cost without a spread that says nothing."""
    same = spec is not None and not spec.on_data and (value.spread or 0) < SAME * value.mean
    return replace(value, spread=None) if same else value


def _limits(record: RunRecord) -> dict[str, Any]:
    return dict(record.plan.get("budget", {}))


def _point_count(sweep: SweepRecord, points: DataFrame) -> int:
    """Return how many points there were to be, failed ones included."""
    wanted = {tuple(item for item in outcome.values.items() if item[0] != "seed") for outcome in sweep.outcomes}
    return max(len(points), len(wanted))


def _is_of(outcome: Outcome, point: Series[Any], over: list[str]) -> bool:
    return bool(outcome.values) and all(outcome.values.get(key, "") == point[key] for key in over if key != "recipe")


def _called(outcome: Outcome, total: int) -> str:
    return ", ".join(filter(None, [f"{outcome.number} of {total}", worded(outcome.values)]))
