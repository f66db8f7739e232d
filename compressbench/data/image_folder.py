"""ImageFolder: any pictures that lie as `<split>/<class>/<file>`: ImageNet, CIFAR10 as JPEG, your own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from compressbench.core.data import Split, Splits
from compressbench.core.errors import PlanError, out_of_range, suggestion
from compressbench.core.identity import NOT_IDENTITY
from compressbench.core.preprocessing import Preprocessing
from compressbench.data import _listing, _location

if TYPE_CHECKING:
    from compressbench.data._listing import Listing
    from compressbench.data._selection import Indices
    from compressbench.data.tasks.image_classification import ImageClassification

    Part = tuple[Listing, Indices]

AUGMENTATIONS = ("none", "random_resized_crop")


@dataclass(frozen=True)
class ImageFolder:
    """name: what reports call it, and the subfolder of the data folder it is looked for in; None becomes the name
    of the data folder itself. classes: class folders; None becomes how many there are: then the folder must be there.

    `test/` is the test split and `val/` (or `validation/`) the validation split. Without `test/`, `val/` is the
    test split; validation is then `validation_share` of the training images, always the same ones, classes in
    proportion. Class index = position of the folder among the sorted names. Where there is nothing but `test/`,
    `calibration_share` of its images are the training split and no test images: always the same ones, classes in
    proportion, of one image a class every so many classes. They are for calibrating, not for training.

    Every picture is resized to `resize` pixels at the shorter side (None: as image_size), and its centre of
    image_size x image_size is taken. mean, std: of red, green, blue, for pixels in [0, 1].
    in_memory: decoded once, kept as uint8 and in the cache folder; training images augmented by `crop_padding`
    and `flip` (see `InMemorySplit`). Else streamed by `workers` processes (0: this one); training images
    augmented by `train_augmentation`: `none` or `random_resized_crop` (Szegedy et al. 2015), and `flip`.
    """

    name: str | None
    root: str | None = field(metadata=NOT_IDENTITY)
    classes: int | None
    image_size: int
    resize: int | None
    in_memory: bool
    validation_share: float
    train_augmentation: str
    crop_padding: int
    flip: bool
    mean: list[float]
    std: list[float]
    workers: int = field(metadata=NOT_IDENTITY)
    calibration_share: float = 0.0

    def __post_init__(self) -> None:
        if self.name is None:
            object.__setattr__(self, "name", _location.data_root(self.root).name)
        if not self.name:
            raise out_of_range("name", self.name, "a name")
        if self.classes is None:
            object.__setattr__(self, "classes", self._counted())
        for key, least in (("classes", 2), ("image_size", 1), ("crop_padding", 0), ("workers", 0)):
            if getattr(self, key) < least:
                raise out_of_range(key, getattr(self, key), f"{least} or more")
        if self.resize is not None and self.resize < self.image_size:
            raise out_of_range("resize", self.resize, f"image_size ({self.image_size}) or more")
        for key in ("validation_share", "calibration_share"):
            if not 0 <= getattr(self, key) < 1:
                raise out_of_range(key, getattr(self, key), "0 or more and less than 1")
        if self.train_augmentation not in AUGMENTATIONS:
            what = suggestion(self.train_augmentation, AUGMENTATIONS)
            raise ValueError(f"train_augmentation is {self.train_augmentation!r}; {what}")
        if self.in_memory and self.train_augmentation != "none":
            raise out_of_range("train_augmentation", self.train_augmentation, "none, as in_memory is true")
        if not self.in_memory and self.crop_padding:
            raise out_of_range("crop_padding", self.crop_padding, "0, as in_memory is false")
        for key in ("mean", "std"):
            if len(getattr(self, key)) != 3:
                raise out_of_range(key, getattr(self, key), "three numbers: red, green, blue")
        if min(self.std) <= 0:
            raise out_of_range("std", self.std, "more than 0")

    @property
    def task(self) -> ImageClassification:
        from compressbench.data.tasks.image_classification import ImageClassification

        assert self.classes is not None
        size, resize = self.image_size, self.resize or self.image_size
        mean, std = tuple(self.mean), tuple(self.std)
        preprocessing = Preprocessing(3, (size, size), crop=(size, size), resize=(resize, resize), mean=mean, std=std)
        return ImageClassification([3, size, size], self.classes, preprocessing)

    def class_names(self) -> list[str]:
        """Return the names of the class folders."""
        _location.require(self.missing())
        return [folder.name for folder in _listing.class_folders(self._folders()["test"])]

    def missing(self) -> str | None:
        try:
            folders = self._folders()
            if folders:
                assert self.classes is not None
                _listing.check_classes(folders, self.classes)
                return None
        except PlanError as error:
            return "; ".join(map(str, error.faults))
        return self._absent()

    def sources(self) -> list[str]:
        """Return the split folders and their class folders."""
        splits = list(self._folders().values())
        return [str(folder) for split in splits for folder in (split, *_listing.class_folders(split))]

    def fingerprint(self) -> str:
        """Return the start of the SHA-256 over every file's split, class, name and size; not over its content."""
        listings = self._listings()
        return _listing.digest(listings, self._taken(listings))

    def test_fingerprint(self) -> str:
        _location.require(self.missing())
        folders = self._folders()
        return _listing.digest(_listing.list_splits({"test": folders["test"]}), self._taken(folders))

    def load(self) -> Splits:
        from compressbench.data._selection import EmptySplit

        parts = self._parts(self._listings())
        made = self._in_memory(parts) if self.in_memory else self._streamed(parts)
        there = f"{parts['test'][0].folder.parent} gives only {', '.join(parts)}; expected {_listing.EXPECTED}"
        train, validation, test = (
            made.get(split) or EmptySplit(f"{self.name} has no {split} images: {there}") for split in _listing.SPLITS
        )
        return Splits(train, validation, test)

    def _counted(self) -> int:
        """Return how many class folders the first split has. ValueError if the folder is not there."""
        folders = self._folders()
        if not folders:
            raise ValueError(f"{self._absent()} Or say how many classes it has with dataset.classes=NUMBER.")
        return len(_listing.class_folders(next(iter(folders.values()))))

    def _places(self) -> list[Path]:
        assert self.name is not None
        return list(dict.fromkeys(_location.places(self.root, [self.name])))

    def _absent(self) -> str:
        assert self.name is not None
        return _location.absent(self.name, _listing.EXPECTED, self._places(), downloads=False)

    def _folders(self) -> dict[str, Path]:
        return _listing.split_folders(self._places())

    def _taken(self, splits: Collection[str]) -> float:
        """Return what share of the test images is for calibrating."""
        return 0.0 if "train" in splits else self.calibration_share

    def _listings(self) -> dict[str, Listing]:
        _location.require(self.missing())
        return _listing.list_splits(self._folders())

    def _parts(self, listings: dict[str, Listing]) -> dict[str, Part]:
        import numpy

        from compressbench.data._selection import held_out

        parts = {split: (listing, numpy.arange(len(listing.files))) for split, listing in listings.items()}
        if share := self._taken(listings):
            test = listings["test"]
            kept, out = held_out(numpy.array(test.labels), round(share * len(test.files)))
            if not (len(kept) and len(out)):
                what = f"is {share}, which takes {len(out)} of the {len(test.files)} test images"
                raise PlanError.of("dataset.calibration_share", what)
            parts |= {"train": (test, out), "test": (test, kept)}
        elif "train" in listings and "validation" not in listings:
            train = listings["train"]
            kept, out = held_out(numpy.array(train.labels), round(self.validation_share * len(train.files)))
            if not len(kept):
                what = f"is {self.validation_share}, which leaves none of the {len(out)} training images to train on"
                raise PlanError.of("dataset.validation_share", what)
            parts["train"] = (train, kept)
            if len(out):
                parts["validation"] = (train, out)
        return parts

    def _in_memory(self, parts: dict[str, Part]) -> dict[str, Split]:
        import torch

        from compressbench.data._decoding import decoded
        from compressbench.data.in_memory import InMemorySplit

        folders = {listing.folder: listing.files for listing, _ in parts.values()}
        resize = self.resize or self.image_size
        pixels = {
            folder: torch.from_numpy(decoded(files, resize, self.image_size, self.workers))
            for folder, files in folders.items()
        }
        made: dict[str, Split] = {}
        for split, (listing, chosen) in parts.items():
            images = pixels[listing.folder][torch.from_numpy(chosen)]
            labels = torch.tensor(listing.labels)[torch.from_numpy(chosen)]
            pad, flip = (self.crop_padding, self.flip) if split == "train" else (0, False)
            made[split] = InMemorySplit(images, labels, self.mean, self.std, pad, flip)
        return made

    def _streamed(self, parts: dict[str, Part]) -> dict[str, Split]:
        import torch

        from compressbench.data.streamed import StreamedSplit, View

        plain = View(self.image_size, self.resize or self.image_size)
        augmented = replace(plain, random_resized_crop=self.train_augmentation == "random_resized_crop", flip=self.flip)
        made: dict[str, Split] = {}
        for split, (listing, chosen) in parts.items():
            files = [listing.files[number] for number in chosen]
            labels = torch.tensor(listing.labels)[torch.from_numpy(chosen)]
            view = augmented if split == "train" else plain
            made[split] = StreamedSplit(files, labels, view, self.mean, self.std, self.workers)
        return made
