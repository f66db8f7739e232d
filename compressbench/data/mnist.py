"""MNIST: 70,000 handwritten digits (LeCun et al. 1998), read from the original idx files, plain or gzipped."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from compressbench.core.data import Splits
from compressbench.core.errors import PlanError, out_of_range
from compressbench.core.identity import NOT_IDENTITY
from compressbench.core.preprocessing import Preprocessing
from compressbench.data import _location

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from torch import Tensor

    from compressbench.data.tasks.image_classification import ImageClassification

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
SUBFOLDERS = ("MNIST/raw", "raw")
PIXELS, CLASSES = 28, 10
MEAN, STD = (0.1307,), (0.3081,)  # of the training images before padding, as everybody uses them


@dataclass(frozen=True)
class MNIST:
    """root: folder with the idx files or with `MNIST/raw`. image_size: 28 or more, zero-padded around the digit.

    validation_images: how many of the 60,000 training images are held out; always the same ones, classes in
    proportion. crop_padding, flip: augmentation, see `InMemorySplit`; the papers use none.
    download: fetch what is missing.
    """

    root: str | None = field(metadata=NOT_IDENTITY)
    download: bool = field(metadata=NOT_IDENTITY)
    image_size: int
    validation_images: int
    crop_padding: int
    flip: bool

    def __post_init__(self) -> None:
        if self.image_size < PIXELS:
            raise out_of_range("image_size", self.image_size, f"{PIXELS} or more")
        for key in ("validation_images", "crop_padding"):
            if getattr(self, key) < 0:
                raise out_of_range(key, getattr(self, key), "0 or more")

    @property
    def name(self) -> str:
        return "mnist"

    @property
    def task(self) -> ImageClassification:
        from compressbench.data.tasks.image_classification import ImageClassification

        return ImageClassification([1, self.image_size, self.image_size], CLASSES, self._preprocessing())

    def class_names(self) -> list[str]:
        return [str(digit) for digit in range(CLASSES)]

    def missing(self) -> str | None:
        if self.download or self._files():
            return None
        looked = _location.places(self.root, SUBFOLDERS)
        return _location.absent(self.name, f"{', '.join(FILES)} (or .gz)", looked, downloads=True)

    def sources(self) -> list[str]:
        return [str(file) for file in self._files()]

    def fingerprint(self) -> str:
        return _location.fingerprint(self, self.sources())

    def test_fingerprint(self) -> str:
        return _location.fingerprint(self, self.sources()[2:])

    def load(self) -> Splits:
        from compressbench.data.in_memory import carved

        _location.require(self.missing())
        if not self._files():
            self._fetch()
        train, test = self._read(0), self._read(2)
        return carved(train, test, MEAN, STD, self.validation_images, self.crop_padding, self.flip)

    def _preprocessing(self) -> Preprocessing:
        digit = (PIXELS, PIXELS)
        return Preprocessing(1, (self.image_size, self.image_size), crop=digit, resize=digit, mean=MEAN, std=STD)

    def _files(self) -> list[Path]:
        """Return the four files from the first place that has them all, else nothing."""
        for folder in _location.places(self.root, SUBFOLDERS):
            plain = [folder / name for name in FILES]
            files = [file if os.path.isfile(file) else file.with_name(f"{file.name}.gz") for file in plain]
            if all(map(os.path.isfile, files)):
                return files
        return []

    def _fetch(self) -> None:
        from compressbench.vision import torchvision

        _location.fetch(
            self.name,
            lambda folder: torchvision("datasets").MNIST(folder, download=True),
            "MNIST/raw",
            _location.data_root(self.root) / "MNIST" / "raw",
        )

    def _read(self, first: int) -> tuple[Tensor, Tensor]:
        """Return images uint8 (N, 1, S, S), padded with black, and labels, from the first-th file and the next.

        PlanError, naming the file, if they do not hold what they should.
        """
        import torch

        from compressbench.data.preparing import framed

        files = self._files()[first : first + 2]
        images, labels = (read_idx(file) for file in files)
        if images.ndim != 3 or images.shape[1:] != (PIXELS, PIXELS) or len(images) == 0:
            what = f"holds an array of shape {images.shape}, expected (N, {PIXELS}, {PIXELS})"
            raise PlanError.of(str(files[0]), what)
        if labels.shape != (len(images),):
            what = f"holds an array of shape {labels.shape}, expected ({len(images)},), as many as images"
            raise PlanError.of(str(files[1]), what)
        if labels.max() >= CLASSES:
            raise PlanError.of(str(files[1]), f"holds the label {labels.max()}, expected 0 to {CLASSES - 1}")
        padded = framed(torch.from_numpy(images)[:, None], self._preprocessing())
        return padded, torch.from_numpy(labels).long()


def read_idx(file: Path) -> NDArray[numpy.uint8]:
    """Return the array of bytes in an idx file, plain or gzipped.

    The format: two zero bytes, the type (8: unsigned byte), the number of dimensions, each dimension as
    four bytes, most significant first, then the values. PlanError naming the file if that is not what it holds.
    """
    import numpy

    content = _location.content_of(file)
    dimensions = content[3] if len(content) > 3 else 0
    start = 4 + 4 * dimensions
    if content[:3] != b"\0\0\x08" or len(content) < start:
        raise PlanError.of(str(file), f"is no idx file of bytes: it begins with {bytes(content[:4])!r}")
    shape = tuple(int(size) for size in numpy.frombuffer(content, dtype=">u4", count=dimensions, offset=4))
    if len(content) - start != math.prod(shape):
        what = f"is cut off or damaged: {len(content) - start} bytes of values, expected {math.prod(shape)}"
        raise PlanError.of(str(file), what)
    return numpy.frombuffer(content, dtype=numpy.uint8, offset=start).reshape(shape)
