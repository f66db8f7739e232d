"""Image classification: one of a number of classes for each picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from compressbench.core.errors import out_of_range
from compressbench.core.metric import MetricSpec
from compressbench.core.preprocessing import Preprocessing
from compressbench.core.task import Inputs, Loss
from compressbench.data.tasks import _classes
from compressbench.data.tasks._shapes import out_of_vocabulary


@dataclass(frozen=True)
class ImageClassification:
    """Pictures float32 (n, C, H, W) to logits (n, classes); labels int64 (n,). Scored by `top1`, `top5` and `loss`.

    shape: C, H, W. preprocessing: how a picture becomes an input; None if no picture can (neither grey nor in three
    colours), or nobody says how.
    """

    shape: list[int]
    classes: int
    preprocessing: Preprocessing | None = None

    name: ClassVar[str] = "image_classification"
    specs: ClassVar[tuple[MetricSpec, ...]] = _classes.SPECS
    primary: ClassVar[str] = "top1"
    losses: ClassVar[Mapping[str, Loss]] = _classes.LOSSES

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise out_of_range("shape", self.shape, "three numbers (channels, height, width), each 1 or more")
        if self.classes < 2:
            raise out_of_range("classes", self.classes, "2 or more")

    def example(self) -> Inputs:
        return torch.zeros(1, *self.shape)

    def random_batch(self, size: int, generator: torch.Generator) -> tuple[Inputs, Tensor]:
        """Return standard normal pictures and any labels."""
        images = torch.randn((size, *self.shape), generator=generator)
        return images, torch.randint(self.classes, (size,), generator=generator)

    def arguments(self) -> dict[str, Any]:
        channels, height, width = self.shape
        square = {"image_size": height} if height == width else {}
        return {"in_channels": channels, "classes": self.classes, **square}

    def sums(self, outputs: Tensor, targets: Tensor, brief: bool = False) -> dict[str, Tensor]:
        return _classes.sums(outputs, targets, brief)

    def scores(self, sums: Mapping[str, float]) -> dict[str, float]:
        return _classes.scores(sums)

    def misfit(self, inputs: Inputs, targets: Tensor) -> str | None:
        return out_of_vocabulary(targets, self.classes, "label")

    def fault(self, outputs: Any, examples: int = 1) -> str | None:
        return _classes.fault(outputs, examples, self.classes)
