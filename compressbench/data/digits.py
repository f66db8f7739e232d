"""Digits: the 1,797 handwritten digits that come with scikit-learn (Alpaydin and Kaynak 1998). No download."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compressbench.core.data import Splits
from compressbench.core.preprocessing import Preprocessing
from compressbench.data import _location

if TYPE_CHECKING:
    from compressbench.data.tasks.image_classification import ImageClassification

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
        if self._file().is_file():
            return None
        return f"digits is not there: looked for {self._file()}, a part of scikit-learn; pip install scikit-learn."

    def sources(self) -> list[str]:
        return [str(self._file())] if self._file().is_file() else []

    def fingerprint(self) -> str:
        return _location.fingerprint(self, self.sources())

    def test_fingerprint(self) -> str:
        return self.fingerprint()

    def load(self) -> Splits:
        import numpy
        import torch

        from compressbench.data._selection import held_out
        from compressbench.data.in_memory import InMemorySplit
        from compressbench.data.preparing import framed

        _location.require(self.missing())
        table = _location.content_of(self._file()).decode()
        rows = numpy.loadtxt(table.splitlines(), delimiter=",", dtype=numpy.int64)
        pixels, labels = rows[:, :-1].reshape(-1, 1, 8, 8), rows[:, -1]
        images = framed(torch.from_numpy((pixels * 255 // 16).astype(numpy.uint8)), PREPROCESSING)

        def split(chosen: numpy.typing.NDArray[numpy.int64]) -> InMemorySplit:
            part = torch.from_numpy(chosen)
            return InMemorySplit(images[part], torch.from_numpy(labels)[part], MEAN, STD, pad=0, flip=False)

        rest, test = held_out(labels, TEST_IMAGES)
        train, validation = held_out(labels[rest], VALIDATION_IMAGES)
        return Splits(split(rest[train]), split(rest[validation]), split(test))

    def _file(self) -> Path:
        # Found without importing scikit-learn, which takes a second.
        found = importlib.util.find_spec("sklearn")
        folder = Path(found.origin).parent if found and found.origin else Path("sklearn")
        return folder / "datasets" / "data" / "digits.csv.gz"
