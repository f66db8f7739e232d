"""Image folders written by the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from compressbench.data.image_folder import ImageFolder


def write_image(file: Path, pixels: Any) -> None:
    """Write pixels (H, W, 3), or one colour for 8x8 pixels."""
    file.parent.mkdir(parents=True, exist_ok=True)
    array = numpy.asarray(pixels, dtype=numpy.uint8)
    Image.fromarray(array if array.ndim == 3 else numpy.broadcast_to(array, (8, 8, 3)).copy()).save(file)


def write_folder(root: Path, splits: dict[str, int], classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """Write so many 8x8 PNGs a class and split; colour: split, class, number, so that every image is its own."""
    for part, (split, images) in enumerate(splits.items()):
        for label, name in enumerate(classes):
            for number in range(images):
                write_image(root / split / name / f"{number:03}.png", [part * 50, label * 50, number])
    return root


def image_folder(root: Path | str | None, **changes: Any) -> ImageFolder:
    fields: dict[str, Any] = {
        "name": "made",
        "classes": 2,
        "image_size": 8,
        "resize": None,
        "in_memory": True,
        "validation_share": 0.2,
        "train_augmentation": "none",
        "crop_padding": 0,
        "flip": False,
        "mean": [0.0, 0.0, 0.0],
        "std": [1.0, 1.0, 1.0],
        "workers": 0,
    }
    return ImageFolder(root=None if root is None else str(root), **(fields | changes))


def colours(split: Any) -> list[tuple[int, ...]]:
    """Return one (red, green, blue) an image, in order, with its label."""
    found = []
    for images, labels in split.batches(7):
        pixels = (images[:, :, 0, 0] * 255).round().long().tolist()
        found += [(*pixel, label) for pixel, label in zip(pixels, labels.tolist(), strict=True)]
    return found
