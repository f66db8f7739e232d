"""A budget held against a record."""

from __future__ import annotations

from compressbench.core.budget import Budget
from compressbench.core.metric import MetricSpec, plain
from compressbench.core.record import RunRecord


def missed_limits(budget: Budget, record: RunRecord) -> list[str]:
    """Return one sentence for every limit on the result that the record breaks, or that nothing measured."""
    missed = []
    for name, limit in budget.limits.items():
        if name not in record.final.metrics:
            missed.append(f"budget.{name} is {limit:,.12g}, but {name} was not measured")
        elif breaks(record.metric_specs[name], record.final.metrics[name], limit):
            missed.append(f"budget.{name} is {limit:,.12g}, but the result has {plain(record.final.metrics[name])}")
    return missed if budget.accuracy_drop is None else [*missed, *_missed_drop(budget.accuracy_drop, record)]


def breaks(spec: MetricSpec, value: float, limit: float) -> bool:
    """Return whether a figure is on the wrong side of its limit."""
    return spec.better(limit, value)


def _missed_drop(limit: float, record: RunRecord) -> list[str]:
    before, final, name = record.before, record.final.metrics, record.primary
    if before is None:
        return [f"budget.accuracy_drop is {limit}, but there is no network before compression"]
    if name not in final or name not in before.metrics:
        return [f"budget.accuracy_drop is {limit}, but {name} was not measured"]
    drop = before.metrics[name] - final[name]
    worse, how = (drop, "dropped") if record.metric_specs[name].higher_is_better else (-drop, "rose")
    return [f"budget.accuracy_drop is {limit:.4f}, but {name} {how} by {worse:.4f}"] if worse > limit else []
