"""Digits: the 1,797 handwritten digits that come with scikit-learn (Alpaydin and Kaynak 1998). No download."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from compressbench.core.data import Shape, Splits
from compressbench.data import _location

IMAGE_SIZE = 32
TEST_IMAGES, VALIDATION_IMAGES = 360, 180
MEAN, STD = [0.305], [0.376]


@dataclass(frozen=True)
class Digits:
    """8x8 images with 17 shades of grey, shown as 32x32. Test and validation images are fixed and balanced."""

    @property
    def name(self) -> str:
        return "digits"

    @property
    def input_shape(self) -> Shape:
        return (1, IMAGE_SIZE, IMAGE_SIZE)

    @property
    def classes(self) -> int:
        return 10

    def missing(self) -> str | None:
        if self._file().is_file():
            return None
        return f"digits is not there: looked for {self._file()}, a part of scikit-learn; pip install scikit-learn."

    def sources(self) -> list[str]:
        return [str(self._file())] if self._file().is_file() else []

    def fingerprint(self) -> str:
        return _location.fingerprint(self)

    def load(self) -> Splits:
        import numpy
        import torch

        from compressbench.data._selection import held_out
        from compressbench.data.in_memory import InMemorySplit

        _location.require(self.missing())
        table = _location.content_of(self._file()).decode()
        rows = numpy.loadtxt(table.splitlines(), delimiter=",", dtype=numpy.int64)
        pixels, labels = rows[:, :-1].reshape(-1, 1, 8, 8), rows[:, -1]
        images = numpy.kron((pixels * 255 // 16).astype(numpy.uint8), numpy.ones((4, 4), dtype=numpy.uint8))

        def split(chosen: numpy.typing.NDArray[numpy.int64]) -> InMemorySplit:
            return InMemorySplit(
                torch.from_numpy(images[chosen]), torch.from_numpy(labels[chosen]), MEAN, STD, pad=0, flip=False
            )

        rest, test = held_out(labels, TEST_IMAGES)
        train, validation = held_out(labels[rest], VALIDATION_IMAGES)
        return Splits(split(rest[train]), split(rest[validation]), split(test))

    def _file(self) -> Path:
        # Found without importing scikit-learn, which takes a second.
        found = importlib.util.find_spec("sklearn")
        folder = Path(found.origin).parent if found and found.origin else Path("sklearn")
        return folder / "datasets" / "data" / "digits.csv.gz"
