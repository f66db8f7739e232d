"""The size is the length of the file, nothing else."""

from pathlib import Path

import torch
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.metric import EvaluationInput, MetricValue
from compressbench.core.subject import Subject
from compressbench.core.task import IMAGE_CLASSIFICATION
from compressbench.metrics.size import SIZE_BYTES, Size


def test_the_size_is_the_length_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "model.cbp"
    file.write_bytes(b"12345")
    subject = Subject(nn.Identity(), Architecture("compressbench.zoo.alexnet.AlexNet"))
    given = EvaluationInput(
        subject, IMAGE_CLASSIFICATION, torch.zeros(1, 1, 32, 32), lambda: iter([]), file, baseline=lambda: subject
    )
    assert Size().measure(given) == [MetricValue(SIZE_BYTES, 5)]
