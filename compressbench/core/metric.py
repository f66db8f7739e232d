"""MetricValue: one measured number; Metric: what produces some."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from compressbench.core.subject import Subject
    from compressbench.core.task import Inputs, Task


@dataclass(frozen=True)
class MetricSpec:
    """What a metric says of itself. unit: `fraction`, `count`, `bytes`, `ms`, `nats`, `ratio`.

    higher_is_better: None for what is neither. heading: of its column. format: how a value is written, as in
    `format(value, ".2%")`. limit: whether a budget may limit it.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    heading: str
    format: str
    limit: bool


@dataclass(frozen=True)
class MetricValue:
    """A name (`top1`, `params`, `size_bytes`), its value, its unit, and which direction is good.

    unit: `fraction`, `count`, `bytes`, `ms`, `nats`, `ratio`. higher_is_better: None for what is neither.
    """

    name: str
    value: float
    unit: str
    higher_is_better: bool | None = None


@dataclass(frozen=True)
class EvaluationInput:
    """What a metric looks at: a subject after a stage.

    task: what the network is for. example: zeros, a batch of one. test_batches: yields the whole test split. file: the
    packed file. baseline: returns the network before compression (`core.before`); where there was none, what the stages
    started from.
    """

    subject: Subject
    task: Task
    example: Inputs
    test_batches: Callable[[], Iterable[tuple[Inputs, Tensor]]]
    file: Path
    baseline: Callable[[], Subject]


class Metric(Protocol):
    """A frozen dataclass, one file in `metrics/`, one YAML in `conf/metric/`.

    One that looks at the file itself has `reads_file = True` and comes after the others; one that looks at the network
    before compression has `needs_baseline = True`. A class attribute `version` above 1 is part of its identity: it is
    raised when a change of the code changes figures.
    """

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        """Return the values; the subject is not changed and stays in evaluation mode afterwards."""
        ...
