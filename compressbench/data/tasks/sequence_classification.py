"""Sequence classification: one of a number of classes for each sequence, of vectors or of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from compressbench.core.errors import out_of_range
from compressbench.core.metric import MetricSpec
from compressbench.core.task import Inputs, Loss, tensors
from compressbench.data.tasks import _classes
from compressbench.data.tasks._shapes import out_of_vocabulary


@dataclass(frozen=True)
class SequenceClassification:
    """Sequences of one length to logits (n, classes); labels int64 (n,). Scored by `top1`, `top5` and `loss`.

    features: the sequences are float32 (n, length, features). vocabulary: they are tokens, int64 (n, length), below it.
    One of the two is said.
    """

    length: int
    classes: int
    features: int | None = None
    vocabulary: int | None = None

    name: ClassVar[str] = "sequence_classification"
    specs: ClassVar[tuple[MetricSpec, ...]] = _classes.SPECS
    primary: ClassVar[str] = "top1"
    losses: ClassVar[Mapping[str, Loss]] = _classes.LOSSES

    def __post_init__(self) -> None:
        if (self.features is None) == (self.vocabulary is None):
            given = f"features is {self.features} and vocabulary is {self.vocabulary}"
            raise ValueError(f"{given}; allowed: one of them (vectors, or tokens), the other null")
        for key, least in (("length", 1), ("classes", 2), ("features", 1), ("vocabulary", 1)):
            value = getattr(self, key)
            if value is not None and value < least:
                raise out_of_range(key, value, f"{least} or more")

    def example(self) -> Inputs:
        if self.features is None:
            return torch.zeros(1, self.length, dtype=torch.int64)
        return torch.zeros(1, self.length, self.features)

    def random_batch(self, size: int, generator: torch.Generator) -> tuple[Inputs, Tensor]:
        """Return standard normal vectors, or any tokens, and any labels."""
        if self.features is not None:
            inputs = torch.randn((size, self.length, self.features), generator=generator)
        else:
            assert self.vocabulary is not None
            inputs = torch.randint(self.vocabulary, (size, self.length), generator=generator)
        return inputs, torch.randint(self.classes, (size,), generator=generator)

    def arguments(self) -> dict[str, Any]:
        kind = {"features": self.features} if self.vocabulary is None else {"vocabulary": self.vocabulary}
        return {**kind, "length": self.length, "classes": self.classes}

    def sums(self, outputs: Tensor, targets: Tensor, brief: bool = False) -> dict[str, Tensor]:
        return _classes.sums(outputs, targets, brief)

    def scores(self, sums: Mapping[str, float]) -> dict[str, float]:
        return _classes.scores(sums)

    def misfit(self, inputs: Inputs, targets: Tensor) -> str | None:
        tokens = None
        if self.vocabulary is not None:
            (sequences,) = tensors(inputs)
            tokens = out_of_vocabulary(sequences, self.vocabulary, "token")
        return tokens or out_of_vocabulary(targets, self.classes, "label")

    def fault(self, outputs: Any, examples: int = 1) -> str | None:
        return _classes.fault(outputs, examples, self.classes)
