"""What a record says of a stage."""

from __future__ import annotations

from collections.abc import Sequence

from compressbench.core.measurement import Measure
from compressbench.core.plan import Stage
from compressbench.core.record import StageRecord
from compressbench.running.cache import StageResult
from compressbench.running.observe import measure_key


def stage_record(
    stage: Stage, stage_id: str, result: StageResult, measures: Sequence[tuple[str, Measure]], cached: bool
) -> StageRecord:
    """Return the record of a stage, with what these measures found. cached: its result was there already."""
    wanted = [measurement for _, measure in measures for measurement in result.measured[measure_key(measure)]]
    return StageRecord(
        name=stage.name,
        kind=stage.kind,
        stage_id=stage_id,
        measurements={measurement.name: measurement.value for measurement in wanted},
        units={measurement.name: measurement.unit for measurement in wanted},
        curve=result.curve,
        skipped=[[skipped.what, skipped.why] for skipped in result.skipped],
        setting=result.setting,
        environment=result.environment,
        seconds=result.seconds,
        cached=cached,
    )
