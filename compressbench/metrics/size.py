"""How many bytes the packed file takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compressbench.core.metric import EvaluationInput, MetricSpec, MetricValue
from compressbench.core.task import Task

SIZE_BYTES = MetricSpec("size_bytes", "bytes", higher_is_better=False, heading="file", format="bytes", limit=True)


@dataclass(frozen=True)
class Size:
    """`size_bytes`: the length of the packed file, everything in it included. OSError if there is none."""

    reads_file: ClassVar[bool] = True
    predictable: ClassVar[bool] = True

    def specs(self, task: Task) -> tuple[MetricSpec, ...]:
        return (SIZE_BYTES,)

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        return [MetricValue(SIZE_BYTES, given.file.stat().st_size)]
