"""Metric: what produces figures; MetricSpec: what it says of each of them; MetricValue: one figure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from compressbench.core.errors import out_of_range, suggestion

if TYPE_CHECKING:
    from torch import Tensor

    from compressbench.core.subject import Subject
    from compressbench.core.task import Inputs, Task

FORMATS = ("percent", "count", "bytes", "ms", "ratio", "number")
"""How a figure is shown. `percent`: a fraction as percent. `count`: with k, M, G. `bytes`: as kB. `number`: any."""


@dataclass(frozen=True)
class MetricSpec:
    """What a metric says of one of its figures. Records keep it, so that a figure is shown without the metric's code.

    unit: a word (`fraction`, `count`, `bytes`, `ms`, `nats`, `ratio`, ...). higher_is_better: None for what is neither.
    heading: what it is called in tables; empty: no table shows it, only records, MLflow and CSV have it.
    format: how it is shown, of `FORMATS`. limit: whether a budget may limit it.
    on_data: whether it hangs on the test split, so that figures on other data say nothing of it.
    published_as: the figure that papers print and that this one is held against, where it is not that of its own name.
    sparse_for: the count whose place it takes beside published figures where the network is sparse.
    table, rows: the small table of its own that shows it, `TITLE: WHAT ITS ROWS ARE`, and in which of its rows.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    heading: str = ""
    format: str = "number"
    limit: bool = False
    on_data: bool = False
    published_as: str = ""
    sparse_for: str = ""
    table: str = ""
    rows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z_]\w*", self.name, re.ASCII):
            raise out_of_range("the name of a metric", self.name, "letters, digits and _")
        if self.format not in FORMATS:
            raise ValueError(f"{self.name}: format is {self.format!r}; {suggestion(self.format, FORMATS)}")
        if self.limit and self.higher_is_better is None:
            raise ValueError(f"{self.name}: limit is true, but higher_is_better does not say which side is good")

    def better(self, one: float, other: float) -> bool:
        """Whether one value is better than another; never where neither direction is good."""
        return self.higher_is_better is not None and (one > other if self.higher_is_better else one < other)

    def text(self, value: float) -> str:
        """Return a value as a line of progress says it."""
        return f"{value:.2%}" if self.format == "percent" else f"{value:.4f}"


@dataclass(frozen=True)
class MetricValue:
    """One measured figure, and what its metric says of it."""

    spec: MetricSpec
    value: float

    @property
    def name(self) -> str:
        return self.spec.name


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
    before compression has `needs_baseline = True`; one that looks at the network, or its file, and no data, has
    `predictable = True`: it is also measured on untrained networks, to predict what a run will come to. A class
    attribute `version` above 1 is part of its identity: it is raised when a change of the code changes figures.
    """

    def specs(self, task: Task) -> tuple[MetricSpec, ...]:
        """Return what it says of each of its figures, for networks of this task, in the order of tables."""
        ...

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        """Return a figure for each of `specs`; the subject is not changed and stays in evaluation mode afterwards.

        ValueError, in words for people, if it cannot be measured.
        """
        ...


def plain(value: float) -> str:
    """Return a figure as sentences say it: whole numbers in full, with commas."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4f}"
