"""Diabetes: ten measurements of 442 patients and how far the disease had gone a year later (Efron et al. 2004).

It comes with scikit-learn, in its own units. No download.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from compressbench.core.data import Splits
from compressbench.data import _location, _sklearn

if TYPE_CHECKING:
    from torch import Tensor

    from compressbench.data.tasks.regression import Regression

FILES = ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz")
FEATURES = 10
TEST_PATIENTS, VALIDATION_PATIENTS = 90, 44


@dataclass(frozen=True)
class Diabetes:
    """Everything is standardised by mean and standard deviation of the 308 training patients, the target too: an MSE of
    1 is what their mean would get. Which patients are for the test and for validation is fixed."""

    @property
    def name(self) -> str:
        return "diabetes"

    @property
    def task(self) -> Regression:
        from compressbench.data.tasks.regression import Regression

        return Regression([FEATURES])

    def class_names(self) -> list[str]:
        return ["disease progression"]

    def missing(self) -> str | None:
        return _sklearn.missing(self.name, *FILES)

    def sources(self) -> list[str]:
        return _sklearn.sources(*FILES)

    def fingerprint(self) -> str:
        return _location.fingerprint(self, self.sources())

    def test_fingerprint(self) -> str:
        return self.fingerprint()

    def load(self) -> Splits:
        import numpy
        import torch

        from compressbench.data._selection import held_out
        from compressbench.data.tensors import TensorSplit

        _location.require(self.missing())
        inputs, targets = (torch.from_numpy(_sklearn.table(file, numpy.float64)) for file in FILES)
        rest, test = held_out(numpy.zeros(len(inputs), numpy.int64), TEST_PATIENTS)
        train, validation = held_out(numpy.zeros(len(rest), numpy.int64), VALIDATION_PATIENTS)
        chosen = torch.from_numpy(rest[train])
        rows, answers = _standardised(inputs, chosen), _standardised(targets[:, None], chosen)
        parts = (torch.from_numpy(part) for part in (rest[train], rest[validation], test))
        return Splits(*(TensorSplit(rows[part], answers[part]) for part in parts))


def _standardised(columns: Tensor, train: Tensor) -> Tensor:
    """Return float32 columns less the mean, by the standard deviation, of the training rows."""
    known = columns[train]
    return ((columns - known.mean(0)) / known.std(0, correction=0)).float()
