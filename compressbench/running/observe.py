"""Measuring a stored stage: always on the network read back from its file, never on the one in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from compressbench.core.data import Shape, Split
from compressbench.core.identity import digest, essence
from compressbench.core.measurement import Measure, Measurement, Specimen
from compressbench.core.subject import Subject
from compressbench.running.cache import StageResult

TEST_BATCH_SIZE = 500


def measure_key(measure: Measure) -> str:
    """Return the identity under which a stage keeps a measure's result."""
    return digest([type(measure).__name__, essence(measure)])


def missing_measures(measures: Sequence[tuple[str, Measure]], result: StageResult) -> list[tuple[str, Measure]]:
    """Return the measures whose result is not known yet."""
    return [(name, measure) for name, measure in measures if measure_key(measure) not in result.measured]


def observe(
    measures: Sequence[tuple[str, Measure]],
    subject: Subject,
    file: Path,
    test: Split,
    input_shape: Shape,
    device: torch.device,
) -> dict[str, list[Measurement]]:
    """Return the measurements, by identity of the measure, of the subject that was read from `file`."""

    def test_batches() -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
        return ((images.to(device), labels.to(device)) for images, labels in test.batches(TEST_BATCH_SIZE))

    subject.model.to(device).eval()
    specimen = Specimen(subject, torch.zeros(1, *input_shape, device=device), test_batches, file)
    found = {measure_key(measure): measure.measure(specimen) for _, measure in measures}
    subject.model.cpu()
    return found
