"""Measuring a stored stage: always on the network read back from its file, never on the one in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch

from compressbench.core.data import Split
from compressbench.core.identity import digest, essence, raised
from compressbench.core.measurement import Measure, Measurement, Specimen
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, Task, moved, tensors
from compressbench.running.cache import StageResult

LARGEST_BATCH, SMALLEST_BATCH = 500, 16
BATCH_ELEMENTS = 500 * 3 * 32 * 32
"""Values in a test batch, so that large inputs come in smaller batches, which are faster and fit the memory."""


def measure_key(measure: Measure) -> str:
    """Return the identity under which a stage keeps a measure's result."""
    return digest([type(measure).__name__, essence(measure), *raised(measure)])


def reads_file(measure: Measure) -> bool:
    """Return whether a measure looks at the stored file itself, so that it comes last."""
    return bool(getattr(measure, "reads_file", False))


def missing_measures(measures: Sequence[tuple[str, Measure]], result: StageResult) -> list[tuple[str, Measure]]:
    """Return the measures whose result is not known yet."""
    return [(name, measure) for name, measure in measures if measure_key(measure) not in result.measured]


def observe(
    measures: Sequence[tuple[str, Measure]],
    subject: Subject,
    file: Path,
    test: Split,
    task: Task,
    device: torch.device,
    baseline: Callable[[], Subject],
) -> dict[str, list[Measurement]]:
    """Return the measurements, by identity of the measure, of the subject that was read from `file`."""

    example = task.example()
    fitting = BATCH_ELEMENTS // sum(each.numel() for each in tensors(example))
    batch_size = max(SMALLEST_BATCH, min(LARGEST_BATCH, fitting))

    def test_batches() -> Iterable[tuple[Inputs, torch.Tensor]]:
        return ((moved(inputs, device), targets.to(device)) for inputs, targets in test.batches(batch_size))

    subject.model.to(device).eval()
    specimen = Specimen(subject, task, moved(example, device), test_batches, file, baseline)
    found = {measure_key(measure): measure.measure(specimen) for _, measure in measures}
    subject.model.cpu()
    return found
