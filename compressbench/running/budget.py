"""A budget held against a record."""

from __future__ import annotations

from compressbench.core.plan import Budget
from compressbench.core.record import RunRecord


def missed_limits(budget: Budget, record: RunRecord) -> list[str]:
    """Return one sentence for every limit on the result that the record breaks, or that nothing measured."""
    final = record.final.metrics
    missed = []
    for name in ("params", "macs", "size_bytes"):
        limit = getattr(budget, name)
        if limit is None:
            continue
        if name not in final:
            missed.append(f"budget.{name} is {limit:,}, but {name} was not measured")
        elif final[name] > limit:
            missed.append(f"budget.{name} is {limit:,}, but the result has {final[name]:,.0f}")
    if budget.accuracy_drop is not None:
        before = record.before
        if before is None:
            missed.append(f"budget.accuracy_drop is {budget.accuracy_drop}, but there is no network before compression")
        elif "top1" not in final or "top1" not in before.metrics:
            missed.append(f"budget.accuracy_drop is {budget.accuracy_drop}, but top1 was not measured")
        elif (drop := before.metrics["top1"] - final["top1"]) > budget.accuracy_drop:
            missed.append(f"budget.accuracy_drop is {budget.accuracy_drop:.4f}, but top1 dropped by {drop:.4f}")
    return missed
