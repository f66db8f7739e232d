"""How many bytes the packed file takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compressbench.core.metric import EvaluationInput, MetricValue


@dataclass(frozen=True)
class Size:
    """`size_bytes`: the length of the packed file, everything in it included. OSError if there is none."""

    reads_file: ClassVar[bool] = True

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        return [MetricValue("size_bytes", given.file.stat().st_size, "bytes", higher_is_better=False)]
