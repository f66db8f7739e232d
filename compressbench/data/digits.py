"""Digits: the 1,797 handwritten digits that come with scikit-learn (Alpaydin and Kaynak 1998). No download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from compressbench.core.data import Splits
from compressbench.core.preprocessing import Preprocessing
from compressbench.data import _location, _sklearn

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from compressbench.data.tasks.image_classification import ImageClassification

    Indices = NDArray[numpy.int64]

FILE = "digits.csv.gz"
IMAGE_SIZE = 32
TEST_IMAGES, VALIDATION_IMAGES = 360, 180
MEAN, STD = (0.305,), (0.376,)
PREPROCESSING = Preprocessing(
    channels=1,
    size=(IMAGE_SIZE, IMAGE_SIZE),
    crop=(8, 8),
    resize=(8, 8),
    mean=MEAN,
    std=STD,
    repeat=4,
    interpolation="box",  # how the 8x8 images came from bitmaps; one that was magnified becomes what it was
)


@dataclass(frozen=True)
class Digits:
    """8x8 images with 17 shades of grey, shown as 32x32. Test and validation images are fixed and balanced."""

    @property
    def name(self) -> str:
        return "digits"

    @property
    def task(self) -> ImageClassification:
        from compressbench.data.tasks.image_classification import ImageClassification

        return ImageClassification([1, IMAGE_SIZE, IMAGE_SIZE], 10, PREPROCESSING)

    def class_names(self) -> list[str]:
        return [str(digit) for digit in range(10)]

    def missing(self) -> str | None:
        return _sklearn.missing(self.name, FILE)

    def sources(self) -> list[str]:
        return _sklearn.sources(FILE)

    def fingerprint(self) -> str:
        return _location.fingerprint(self, self.sources())

    def test_fingerprint(self) -> str:
        return self.fingerprint()

    def load(self) -> Splits:
        import numpy
        import torch

        from compressbench.data.in_memory import InMemorySplit
        from compressbench.data.preparing import framed

        _location.require(self.missing())
        shades, labels = read()
        pixels = (shades[:, None] * 255 // 16).astype(numpy.uint8)
        images = framed(torch.from_numpy(pixels), PREPROCESSING)

        def split(chosen: Indices) -> InMemorySplit:
            part = torch.from_numpy(chosen)
            return InMemorySplit(images[part], torch.from_numpy(labels)[part], MEAN, STD, pad=0, flip=False)

        return Splits(*map(split, parts(labels)))


def read() -> tuple[Indices, Indices]:
    """Return shades of grey from 0 to 16, (N, 8, 8), and labels (N,)."""
    import numpy

    rows = _sklearn.table(FILE, numpy.int64, delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]


def parts(labels: Indices) -> tuple[Indices, Indices, Indices]:
    """Return which digits are for training, for validation and for the test: always the same ones."""
    from compressbench.data._selection import held_out

    rest, test = held_out(labels, TEST_IMAGES)
    train, validation = held_out(labels[rest], VALIDATION_IMAGES)
    return rest[train], rest[validation], test
