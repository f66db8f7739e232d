"""Measuring a stored stage: always on the network read back from its file, never on the one in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch

from compressbench.core.data import Split
from compressbench.core.identity import digest, essence, raised
from compressbench.core.metric import EvaluationInput, Metric, MetricValue
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, Task, moved, tensors
from compressbench.running.cache import StageResult

LARGEST_BATCH, SMALLEST_BATCH = 500, 16
BATCH_ELEMENTS = 500 * 3 * 32 * 32
"""Values in a test batch, so that large inputs come in smaller batches, which are faster and fit the memory."""


def metric_key(metric: Metric) -> str:
    """Return the identity under which a stage keeps a measure's result."""
    return digest([type(metric).__name__, essence(metric), *raised(metric)])


def reads_file(metric: Metric) -> bool:
    """Return whether a metric looks at the stored file itself, so that it comes last."""
    return bool(getattr(metric, "reads_file", False))


def missing_metrics(metrics: Sequence[tuple[str, Metric]], result: StageResult) -> list[tuple[str, Metric]]:
    """Return the metrics whose result is not known yet."""
    return [(name, metric) for name, metric in metrics if metric_key(metric) not in result.measured]


def evaluate(
    metrics: Sequence[tuple[str, Metric]],
    subject: Subject,
    file: Path,
    test: Split,
    task: Task,
    device: torch.device,
    baseline: Callable[[], Subject],
) -> dict[str, list[MetricValue]]:
    """Return the values, by identity of the metric, of the subject that was read from `file`."""

    example = task.example()
    fitting = BATCH_ELEMENTS // sum(each.numel() for each in tensors(example))
    batch_size = max(SMALLEST_BATCH, min(LARGEST_BATCH, fitting))

    def test_batches() -> Iterable[tuple[Inputs, torch.Tensor]]:
        return ((moved(inputs, device), targets.to(device)) for inputs, targets in test.batches(batch_size))

    subject.model.to(device).eval()
    given = EvaluationInput(subject, task, moved(example, device), test_batches, file, baseline)
    found = {metric_key(metric): metric.measure(given) for _, metric in metrics}
    subject.model.cpu()
    return found
