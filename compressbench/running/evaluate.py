"""Measuring a stored stage: always on the network read back from its file, never on the one in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from pathlib import Path

import torch

from compressbench.core.data import Split
from compressbench.core.errors import PlanError, RunError
from compressbench.core.identity import digest, essence, raised
from compressbench.core.metric import EvaluationInput, Metric, MetricValue
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, Task, moved, tensors
from compressbench.running.cache import StageResult

LARGEST_BATCH, SMALLEST_BATCH = 500, 16
BATCH_ELEMENTS = 500 * 3 * 32 * 32
"""Values in a test batch, so that large inputs come in smaller batches, which are faster and fit the memory."""


def metric_key(metric: Metric) -> str:
    """Return the identity under which a stage keeps a metric's result."""
    return digest([type(metric).__name__, essence(metric), *raised(metric)])


def reads_file(metric: Metric) -> bool:
    """Return whether a metric looks at the stored file itself, so that it comes last."""
    return bool(getattr(metric, "reads_file", False))


def missing_metrics(metrics: Sequence[tuple[str, Metric]], task: Task, result: StageResult) -> list[tuple[str, Metric]]:
    """Return the metrics whose figures, all that they declare, are not known yet."""

    def declared(metric: Metric) -> set[str]:
        return {spec.name for spec in metric.specs(task)}

    return [each for each in metrics if result.measured.get(metric_key(each[1]), {}).keys() != declared(each[1])]


def evaluate(
    metrics: Sequence[tuple[str, Metric]],
    subject: Subject,
    file: Path,
    test: Split,
    task: Task,
    device: torch.device,
    baseline: Callable[[], Subject],
) -> list[MetricValue]:
    """Return the values, metric by metric, of the subject that was read from `file`. RunError for one that cannot be
    had, as in `measured`."""

    example = task.example()
    fitting = BATCH_ELEMENTS // sum(each.numel() for each in tensors(example))
    batch_size = max(SMALLEST_BATCH, min(LARGEST_BATCH, fitting))

    def test_batches() -> Iterable[tuple[Inputs, torch.Tensor]]:
        return ((moved(inputs, device), targets.to(device)) for inputs, targets in test.batches(batch_size))

    subject.model.to(device).eval()
    given = EvaluationInput(subject, task, moved(example, device), test_batches, file, baseline)
    try:
        return [value for name, metric in metrics for value in measured(name, metric, given)]
    except ValueError as error:
        raise error if isinstance(error, PlanError) else RunError(str(error)) from error
    finally:
        subject.model.cpu()


def measured(name: str, metric: Metric, given: EvaluationInput) -> list[MetricValue]:
    """Return what a metric measures, in the order in which it declares it. ValueError, naming the metric, if it cannot
    be measured, or is not a finite number for each of the figures it declares, and for no other."""
    declared = [spec.name for spec in metric.specs(given.task)]
    try:
        found = {each.name: each for each in metric.measure(given)}
    except ValueError as error:
        raise ValueError(f"the metric {name!r}: {error}") from error
    for what, names in (
        ("does not return", [each for each in declared if each not in found]),
        ("returns, but does not declare,", [each for each in found if each not in declared]),
        ("returns something that is no finite number as", [n for n, each in found.items() if not _finite(each.value)]),
    ):
        if names:
            told = ", ".join(f"{each} ({found[each].value})" if each in found else each for each in names)
            raise ValueError(f"the metric {name!r} {what} {told}")
    return [found[each] for each in declared]


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
