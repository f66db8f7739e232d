"""The size is the length of the file, nothing else."""

from pathlib import Path

from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.metric import EvaluationInput, MetricValue
from compressbench.core.subject import Subject
from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.metrics.size import SIZE_BYTES, Size


def test_the_size_is_the_length_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "model.cbp"
    file.write_bytes(b"12345")
    subject = Subject(nn.Identity(), Architecture("compressbench.zoo.alexnet.AlexNet"))
    task = ImageClassification([1, 32, 32], 10)
    given = EvaluationInput(subject, task, task.example(), lambda: iter([]), file, baseline=lambda: subject)
    assert Size().measure(given) == [MetricValue(SIZE_BYTES, 5)]
