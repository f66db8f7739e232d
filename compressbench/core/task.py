"""Task: what a network is for, and how it is scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from compressbench.core.metric import MetricSpec


class Task(Protocol):
    """What a network is for. primary: the name of the metric by which networks are compared. specs: of its metrics."""

    @property
    def name(self) -> str: ...

    @property
    def primary(self) -> str: ...

    @property
    def specs(self) -> tuple[MetricSpec, ...]: ...


@dataclass(frozen=True)
class _ImageClassification:
    name: str = "image_classification"
    primary: str = "top1"
    specs: tuple[MetricSpec, ...] = (
        MetricSpec("top1", "fraction", True, heading="top1", format="percent", limit=True),
        MetricSpec("top5", "fraction", True, heading="top5", format="percent", limit=True),
        MetricSpec("loss", "nats", False, limit=True),
    )


IMAGE_CLASSIFICATION: Task = _ImageClassification()
