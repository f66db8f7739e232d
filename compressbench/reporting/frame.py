"""Frame: records as a pandas DataFrame, a row a run, and a row a point: the mean over its seeds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from compressbench.core.metric import MetricSpec
from compressbench.core.record import RunRecord
from compressbench.core.specs import costs, primary_of, scores, specs_of
from compressbench.core.sweep import SweepRecord
from compressbench.reporting.pareto import front
from compressbench.reporting.spreadsheet import DECIMALS

if TYPE_CHECKING:
    from pandas import DataFrame

SETTING = ("recipe", "dataset", "protocol")
"""What runs share, beside what was swept, to be seeds of one point."""
FACTS = (*SETTING, "seed", "status")


def runs_frame(records: Iterable[RunRecord]) -> DataFrame:
    """Return a row a run: what was run and swept, every metric of the final stage, and what became of the trained
    network's scores (`top1_before`, `top1_change`). `missed`: the limits that were broken, by name."""
    from pandas import DataFrame

    return DataFrame([_run(record) for record in records])


def points_frame(records: Sequence[RunRecord], keys: list[str]) -> DataFrame:
    """Return a row a point of a sweep, seeds averaged: means of all figures, their sample standard deviations as
    `<figure>_spread` (none of a single seed), the number of `seeds`, `budget` (`met`, or what was missed; empty
    without one), and `pareto`: whether no point on the same data has both a better primary metric and less of its
    first cost (`cost_of`); `best`: whether it has the best primary metric of those that meet the same budget.

    keys: what was swept.
    """
    runs, by = (
        runs_frame(records).assign(limits=[_limits(record) for record in records]),
        [*SETTING, *(key for key in keys if key not in FACTS)],
    )
    figures = [name for name in runs.select_dtypes("number") if name not in (*by, "seed")]
    seeds = runs.fillna(dict.fromkeys(by, "")).groupby(by, sort=False)
    means, spreads = seeds[figures].mean(), seeds[figures].std().add_suffix("_spread")
    points = means.join(spreads).round(DECIMALS)
    points.insert(0, "seeds", seeds.size())
    points.insert(1, "budget", seeds["missed"].agg(_budget))
    points.insert(2, "best", False)
    points.insert(3, "pareto", False)
    primary, cost = primary_of(records), cost_of(records)
    if cost and primary in figures:
        sign = sign_of(records)
        for _, rivals in points.dropna(subset=[cost.name, primary]).groupby(["dataset", "protocol"]):
            best = front(list(zip(rivals[cost.name], sign * rivals[primary], strict=True)))
            points.loc[rivals.index[best], "pareto"] = True
    if primary in figures:
        met = points.assign(limits=seeds["limits"].first(), score=sign_of(records) * points[primary])
        for _, rivals in met[met["budget"] == "met"].groupby(["dataset", "protocol", "limits"]):
            points.loc[rivals.index[rivals["score"] == rivals["score"].max()], "best"] = True
    return points.reset_index()


def sign_of(records: Sequence[RunRecord]) -> int:
    """Return 1 where more of the primary metric is better, else -1."""
    return 1 if specs_of(records)[primary_of(records)].higher_is_better else -1


def _limits(record: RunRecord) -> str:
    return json.dumps(record.plan.get("budget", {}), sort_keys=True)


def cost_of(records: Sequence[RunRecord]) -> MetricSpec | None:
    """Return what the primary metric is set against: the first of the costs that was measured."""
    measured = {name for record in records if record.networks for name in record.final.metrics}
    return next((spec for spec in costs(specs_of(records)) if spec.name in measured), None)


def sweep_frame(values: Sequence[dict[str, Any]], sweep: SweepRecord, found: Mapping[str, RunRecord]) -> DataFrame:
    """Return a row a run of a sweep, those that failed too: what was swept, how it ended, every metric of the final
    network and, as `<metric>_before`, of the one before compression; `missed`, `error`, and its folder as `run`.

    values: what was swept, by key, of every run. found: as `SweepRecord.by_run` returns it.
    """
    from pandas import DataFrame

    rows = []
    for outcome in sweep.outcomes:
        record = found.get(outcome.run)
        row: dict[str, Any] = {**values[outcome.number - 1], "status": record.status if record else "failed"}
        if record:
            before = record.before.metrics if record.before else {}
            row |= record.final.metrics | {f"{name}_before": value for name, value in before.items()}
            row |= {"missed": "; ".join(record.missed), "seconds": record.seconds}
        rows.append(row | {"error": outcome.error, "run": outcome.run})
    return DataFrame(rows)


def _run(record: RunRecord) -> dict[str, Any]:
    final, first = record.final.metrics, record.before
    found: dict[str, Any] = {"recipe": record.recipe, "dataset": record.dataset["name"], "protocol": record.protocol}
    found |= {key: value for key, value in record.swept.items() if key not in FACTS}
    found |= {"seed": record.seed, "status": record.status}
    before = first.metrics if first and first is not record.final else {}
    for name in (spec.name for spec in scores(record.metric_specs)):
        if name in before and name in final:
            found |= {f"{name}_before": before[name], f"{name}_change": final[name] - before[name]}
    has_budget = bool(record.plan.get("budget"))
    missed = [sentence.partition(" ")[0].removeprefix("budget.") for sentence in record.missed]
    return found | final | {"missed": ", ".join(missed) if has_budget else None, "plan_id": record.plan_id}


def _budget(missed: Any) -> str:
    """Return what became of the budget with all seeds: `met`, `missed: macs`, `missed by 1 of 3: macs`."""
    broken = [names for names in missed if names]
    if missed.isna().all():
        return ""
    if not broken:
        return "met"
    names = ", ".join(dict.fromkeys(name for text in broken for name in text.split(", ")))
    return f"missed: {names}" if len(broken) == len(missed) else f"missed by {len(broken)} of {len(missed)}: {names}"
