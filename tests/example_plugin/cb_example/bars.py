"""Bars: pictures of a horizontal or a vertical bar in noise, made in memory."""

from __future__ import annotations

from dataclasses import dataclass

from compressbench.core.data import Splits
from compressbench.core.identity import digest

SIDE = 16


@dataclass(frozen=True)
class Bars:
    """examples: of the training split; validation and test have a quarter each. noise: its standard deviation."""

    examples: int = 256
    noise: float = 0.5

    @property
    def name(self) -> str:
        return "bars"

    @property
    def task(self):
        from compressbench.data.tasks.image_classification import ImageClassification

        return ImageClassification([1, SIDE, SIDE], 2)

    def class_names(self) -> list[str]:
        return ["horizontal", "vertical"]

    def missing(self) -> str | None:
        return None

    def sources(self) -> list[str]:
        return []

    def fingerprint(self) -> str:
        return digest(["bars", self])

    def test_fingerprint(self) -> str:
        return self.fingerprint()

    def load(self) -> Splits:
        import torch

        from compressbench.data.tensors import TensorSplit

        generator, parts = torch.Generator().manual_seed(0), []
        for count in (self.examples, self.examples // 4, self.examples // 4):
            labels = torch.arange(count) % 2
            images = torch.randn(count, 1, SIDE, SIDE, generator=generator) * self.noise
            places = torch.randint(SIDE, (count,), generator=generator)
            for image, label, place in zip(images, labels, places, strict=True):
                image[0, :, place] += label
                image[0, place, :] += 1 - label
            parts.append(TensorSplit(images, labels))
        return Splits(*parts)
