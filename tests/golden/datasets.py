"""Every kind of dataset on tiny files, and the figures of its first batches."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from compressbench.core.data import Dataset, Splits
from compressbench.data.cifar import CIFAR10, CIFAR100
from compressbench.data.digits import Digits
from compressbench.data.mnist import MNIST
from compressbench.data.synthetic import Synthetic
from compressbench.vision import torchvision
from tests.data.folders import image_folder, write_image
from tests.data.test_mnist import write_mnist
from tests.golden.figures import Figures, of_tensor


def of_dataset(dataset: Dataset) -> Figures:
    """Return images and labels of the first batch of every split, the training images shuffled and augmented."""
    splits = dataset.load()
    found: Figures = {"shape": list(dataset.task.shape), "classes": dataset.task.classes}
    for name, split in vars(splits).items():
        generator = torch.Generator().manual_seed(0) if name == "train" else None
        images, labels = next(iter(split.batches(16, generator)))
        found[name] = {
            "images": len(split),
            "labels": labels.tolist(),
            "pixels": [of_tensor(row) for row in images[:4]],
        }
    return found


class Loaded:
    """A dataset that was loaded while the checksums of its made-up files were taken for the published ones."""

    def __init__(self, dataset: Dataset, splits: Splits):
        self.task, self.splits = dataset.task, splits
        self.version = getattr(dataset, "version", 1)

    def load(self) -> Splits:
        return self.splits


def mnist(folder: Path) -> Any:
    write_mnist(folder)
    return MNIST(str(folder), download=False, image_size=32, validation_images=20, crop_padding=2, flip=False)


def cifar(kind: type[CIFAR10], labels: str, folder: Path) -> Any:
    """Ten images a training file; of each the colour is a gradient that starts at its number."""

    def write(name: str, content: object) -> list[str]:
        file = folder / kind.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(content))
        return [name, hashlib.md5(file.read_bytes()).hexdigest()]

    def batch(name: str, first: int, images: int) -> list[str]:
        numbers = numpy.arange(first, first + images)
        pixels = (numbers[:, None] * 7 + numpy.arange(3072)) % 256
        return write(name, {"data": pixels.astype(numpy.uint8), labels: (numbers % 10).tolist()})

    *training, test, meta = kind.files
    reader = getattr(torchvision("datasets"), kind.reader)
    names = labels.removesuffix("s") + "_names"
    with pytest.MonkeyPatch.context() as patch:
        each = 100 // len(training)
        patch.setattr(reader, "train_list", [batch(name, each * n, each) for n, name in enumerate(training)])
        patch.setattr(reader, "test_list", [batch(test, 200, 20)])
        classes = 100 if kind is CIFAR100 else 10
        filename, md5 = write(meta, {names.replace("labels", "label"): [str(n) for n in range(classes)]})
        key = "fine_label_names" if kind is CIFAR100 else "label_names"
        patch.setattr(reader, "meta", {"filename": filename, "key": key, "md5": md5})
        dataset = kind(str(folder), download=False, validation_images=20, crop_padding=4, flip=True)
        return Loaded(dataset, dataset.load())


def pictures(folder: Path, in_memory: bool) -> Any:
    """PNGs of 12 x 10 with a gradient: they have to be resized and cut."""
    for split, images in (("train", 10), ("val", 4)):
        for label, name in enumerate(("cat", "dog")):
            for number in range(images):
                pixels = (numpy.arange(12 * 10 * 3) * (1 + label) + 9 * number).reshape(12, 10, 3) % 256
                write_image(folder / split / name / f"{number:03}.png", pixels)
    augmented: dict[str, Any] = (
        {"crop_padding": 1, "flip": True} if in_memory else {"train_augmentation": "random_resized_crop"}
    )
    return image_folder(folder, in_memory=in_memory, resize=9, **augmented)


KINDS: dict[str, Callable[[Path], Any]] = {
    "digits": lambda folder: Digits(),
    "mnist": mnist,
    "cifar10": lambda folder: cifar(CIFAR10, "labels", folder),
    "cifar100": lambda folder: cifar(CIFAR100, "fine_labels", folder),
    "image_folder": lambda folder: pictures(folder, in_memory=True),
    "image_folder_streamed": lambda folder: pictures(folder, in_memory=False),
    "synthetic": lambda folder: Synthetic(name="made", shape=[3, 8, 8], classes=5, train_images=50, test_images=20),
}
