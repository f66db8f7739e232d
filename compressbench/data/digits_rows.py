"""DigitsRows: the handwritten digits that come with scikit-learn, row by row, as sequences. No download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from compressbench.core.data import Splits
from compressbench.core.identity import digest
from compressbench.data import _location, _sklearn
from compressbench.data.digits import FILE, parts, read

if TYPE_CHECKING:
    from compressbench.data.tasks.sequence_classification import SequenceClassification

ROWS, COLUMNS = 8, 8
MEAN, STD = 4.88, 6.02
"""Of the training images, in shades of grey from 0 to 16."""


@dataclass(frozen=True)
class DigitsRows:
    """Sequences of 8 rows from the top, each 8 shades of grey. Test and validation examples are those of `digits`."""

    @property
    def name(self) -> str:
        return "digits_rows"

    @property
    def task(self) -> SequenceClassification:
        from compressbench.data.tasks.sequence_classification import SequenceClassification

        return SequenceClassification(ROWS, 10, features=COLUMNS)

    def class_names(self) -> list[str]:
        return [str(digit) for digit in range(10)]

    def missing(self) -> str | None:
        return _sklearn.missing(self.name, FILE)

    def sources(self) -> list[str]:
        return _sklearn.sources(FILE)

    def fingerprint(self) -> str:
        return _location.fingerprint(self, self.sources())

    def test_fingerprint(self) -> str:
        return digest([self.name, self.fingerprint()])  # the same digits as pictures are other examples

    def load(self) -> Splits:
        import torch

        from compressbench.data.tensors import TensorSplit

        _location.require(self.missing())
        shades, labels = read()
        rows, answers = (torch.from_numpy(shades).float() - MEAN) / STD, torch.from_numpy(labels)
        return Splits(*(TensorSplit(rows[part], answers[part]) for part in map(torch.from_numpy, parts(labels))))
