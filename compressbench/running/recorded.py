"""What a record says of a stage."""

from __future__ import annotations

from collections.abc import Sequence

from compressbench.core.metric import Metric
from compressbench.core.plan import Stage
from compressbench.core.record import StageRecord
from compressbench.running.cache import StageResult
from compressbench.running.evaluate import metric_key


def stage_record(
    stage: Stage, stage_id: str, result: StageResult, metrics: Sequence[tuple[str, Metric]], cached: bool
) -> StageRecord:
    """Return the record of a stage, with what these metrics found. cached: its result was there already."""
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
    )
