"""What a record says of a stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compressbench.core.data import Splits
from compressbench.core.metric import Metric
from compressbench.core.plan import Plan, Stage
from compressbench.core.record import RunRecord, StageRecord
from compressbench.running.budget import missed_limits
from compressbench.running.cache import StageResult
from compressbench.running.evaluate import metric_key


def stage_record(
    stage: Stage,
    stage_id: str,
    result: StageResult,
    metrics: Sequence[tuple[str, Metric]],
    cached: bool,
    reads: dict[str, str],
) -> StageRecord:
    """Return the record of a stage, with what these metrics found. cached: its result was there already.
    reads: the identities of what else it reads.
    """
    return StageRecord(
        name=stage.name,
        kind=stage.kind,
        stage_id=stage_id,
        metrics={name: value for _, metric in metrics for name, value in result.measured[metric_key(metric)].items()},
        curve=result.curve,
        skipped=[[skipped.what, skipped.why] for skipped in result.skipped],
        setting=result.setting,
        environment=result.environment,
        seconds=result.seconds,
        cached=cached,
        reads=reads,
    )


def run_record(plan: Plan, fingerprint: str, splits: Splits, **rest: Any) -> RunRecord:
    """Return the record of a plan. fingerprint, splits: of its data. rest: the other fields, as the record has them."""
    examples = {f"{name}_examples": len(split) for name, split in vars(splits).items()}
    return RunRecord(
        recipe=plan.recipe,
        table=plan.table,
        row=plan.row,
        protocol=plan.protocol,
        changed=dict(plan.changed),
        seed=plan.seed,
        plan_id=plan.plan_id(),
        plan=plan.as_dict(),
        reference=plan.reference.as_dict(),
        metric_specs=plan.metric_specs,
        primary=plan.task.primary,
        dataset={"name": plan.dataset.name, "fingerprint": fingerprint, **examples},
        **rest,
    )


def bring_up_to_date(record: RunRecord, plan: Plan) -> None:
    """Write today's names, published figures, budget, and what metrics say of themselves into a record of the plan."""
    record.protocol, record.reference = plan.protocol, plan.reference.as_dict()
    record.metric_specs, record.primary = plan.metric_specs, plan.task.primary
    record.plan, record.missed = plan.as_dict(), missed_limits(plan.budget, record)
