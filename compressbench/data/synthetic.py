"""Synthetic: a smooth random pattern for every class plus noise. For tests and for `debug=smoke`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from compressbench.core.data import Splits
from compressbench.core.errors import out_of_range
from compressbench.core.identity import digest
from compressbench.core.preprocessing import MODES, Preprocessing

if TYPE_CHECKING:
    from compressbench.data.tasks.image_classification import ImageClassification

SEED = 2020
NOISE = 40.0
"""Standard deviation of the noise, in shades of grey; a pattern spans 256."""
MEAN, STD = 0.5, 0.25


@dataclass(frozen=True)
class Synthetic:
    """name: what reports call it. shape: channels, height, width. A tenth of `train_images` is held out.

    Easy on purpose: the nearest class mean is nearly always right.
    """

    name: str
    shape: list[int]
    classes: int
    train_images: int
    test_images: int

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise out_of_range("shape", self.shape, "three numbers (channels, height, width), each 1 or more")
        if self.classes < 2:
            raise out_of_range("classes", self.classes, "2 or more")
        if self.train_images < 10:
            raise out_of_range("train_images", self.train_images, "10 or more, because a tenth is held out")
        if self.test_images < 1:
            raise out_of_range("test_images", self.test_images, "1 or more")

    @property
    def task(self) -> ImageClassification:
        from compressbench.data.tasks.image_classification import ImageClassification

        channels, height, width = self.shape
        if channels not in MODES:
            return ImageClassification(self.shape, self.classes)
        size, mean, std = (height, width), (MEAN,) * channels, (STD,) * channels
        return ImageClassification(self.shape, self.classes, Preprocessing(channels, size, size, size, mean, std))

    def class_names(self) -> list[str]:
        return [str(label) for label in range(self.classes)]

    def missing(self) -> str | None:
        return None

    def sources(self) -> list[str]:
        return []

    def fingerprint(self) -> str:
        """Return the digest of the fields: nothing else decides the images."""
        return digest(["synthetic", SEED, NOISE, self])

    def test_fingerprint(self) -> str:
        return replace(self, name="synthetic").fingerprint()  # the test images are drawn after the training images

    def load(self) -> Splits:
        import torch
        from torch.nn import functional

        from compressbench.data.in_memory import carved

        generator = torch.Generator().manual_seed(SEED)
        channels, height, width = self.shape
        coarse = torch.rand((self.classes, channels, 4, 4), generator=generator) * 255
        patterns = functional.interpolate(coarse, size=(height, width), mode="bilinear")
        parts = []
        for images in (self.train_images, self.test_images):
            labels = torch.randperm(images, generator=generator) % self.classes
            noise = torch.randn((images, channels, height, width), generator=generator) * NOISE
            parts.append(((patterns[labels] + noise).clamp(0, 255).to(torch.uint8), labels))
        return carved(parts[0], parts[1], [MEAN] * channels, [STD] * channels, self.train_images // 10)
