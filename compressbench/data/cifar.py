"""CIFAR10 and CIFAR100: 60,000 colour images of 32x32 pixels (Krizhevsky 2009), read through torchvision."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from compressbench.core.data import Splits
from compressbench.core.errors import PlanError, out_of_range
from compressbench.core.identity import NOT_IDENTITY
from compressbench.core.preprocessing import Preprocessing
from compressbench.data import _location

if TYPE_CHECKING:
    from compressbench.data.tasks.image_classification import ImageClassification

NAMES_OF_10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NAMES_OF_100 = (  # of the fine labels
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "
    "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
    "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster "
    "man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck "
    "pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk "
    "skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger "
    "tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)


@dataclass(frozen=True)
class CIFAR10:
    """root: the folder `cifar-10-batches-py` or the one it lies in. download: fetch what is missing.

    validation_images: how many of the 50,000 training images are held out; always the same ones, classes in
    proportion. crop_padding, flip: augmentation, see `InMemorySplit`; 4 and true in most papers.
    """

    root: str | None = field(metadata=NOT_IDENTITY)
    download: bool = field(metadata=NOT_IDENTITY)
    validation_images: int
    crop_padding: int
    flip: bool

    reader: ClassVar[str] = "CIFAR10"  # the class in torchvision.datasets
    folder: ClassVar[str] = "cifar-10-batches-py"
    files: ClassVar[tuple[str, ...]] = (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta")
    names: ClassVar[tuple[str, ...]] = NAMES_OF_10  # as `batches.meta` has them
    # Of the training images, channel by channel.
    mean: ClassVar[tuple[float, ...]] = (0.4914, 0.4822, 0.4465)
    std: ClassVar[tuple[float, ...]] = (0.2470, 0.2435, 0.2616)

    def __post_init__(self) -> None:
        for key in ("validation_images", "crop_padding"):
            if getattr(self, key) < 0:
                raise out_of_range(key, getattr(self, key), "0 or more")

    @property
    def name(self) -> str:
        return self.reader.lower()

    @property
    def task(self) -> ImageClassification:
        from compressbench.data.tasks.image_classification import ImageClassification

        size = (32, 32)
        preprocessing = Preprocessing(3, size, crop=size, resize=size, mean=self.mean, std=self.std)
        return ImageClassification([3, *size], len(self.names), preprocessing)

    def class_names(self) -> list[str]:
        return list(self.names)

    def missing(self) -> str | None:
        if self.download or self._found():
            return None
        expected = f"{self.files[0]}, {self.files[-1]} and the like"
        return _location.absent(self.name, expected, self._places(), downloads=True)

    def sources(self) -> list[str]:
        found = self._found()
        return [str(found / file) for file in self.files] if found else []

    def fingerprint(self) -> str:
        return _location.fingerprint(self, self.sources())

    def test_fingerprint(self) -> str:
        return _location.fingerprint(self, [file for file in self.sources() if Path(file).name.startswith("test")])

    def load(self) -> Splits:
        import numpy
        import torch

        from compressbench.data.in_memory import carved

        _location.require(self.missing())
        if not self._found():
            target = _location.data_root(self.root) / self.folder
            _location.fetch(self.name, lambda folder: self._reader()(folder, download=True), self.folder, target)
        parts = []
        for train in (True, False):
            data = self._read(train)
            images = numpy.ascontiguousarray(data.data.transpose(0, 3, 1, 2))
            parts.append((torch.from_numpy(images), torch.tensor(data.targets)))
        return carved(parts[0], parts[1], self.mean, self.std, self.validation_images, self.crop_padding, self.flip)

    def _places(self) -> list[Path]:
        return _location.places(self.root, [self.folder])

    def _found(self) -> Path | None:
        for folder in self._places():
            if all(os.path.isfile(folder / file) for file in self.files):
                return folder
        return None

    def _reader(self) -> Any:
        from compressbench.vision import torchvision

        return getattr(torchvision("datasets"), self.reader)

    def _read(self, train: bool) -> Any:
        folder = self._found()
        assert folder is not None
        try:
            # torchvision insists on the folder's name; it also checks the MD5 of every file before unpickling it.
            reader = type(self.reader, (self._reader(),), {"base_folder": folder.name})
            return reader(str(folder.parent), train=train, download=False)
        except (RuntimeError, OSError, EOFError, ValueError) as error:
            what = f"{self.name} cannot be read from {folder}: {error}. If it is damaged, remove it and set"
            raise PlanError.of("dataset", f"{what} dataset.download=true.") from error


@dataclass(frozen=True)
class CIFAR100(CIFAR10):
    """As CIFAR10, with 100 classes; the folder is called `cifar-100-python`."""

    reader: ClassVar[str] = "CIFAR100"
    folder: ClassVar[str] = "cifar-100-python"
    files: ClassVar[tuple[str, ...]] = ("train", "test", "meta")
    names: ClassVar[tuple[str, ...]] = tuple(NAMES_OF_100.split())
    mean: ClassVar[tuple[float, ...]] = (0.5071, 0.4865, 0.4409)
    std: ClassVar[tuple[float, ...]] = (0.2673, 0.2564, 0.2762)
