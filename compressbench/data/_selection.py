"""Which images belong to a part: by class in proportion, and always the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from compressbench.core.errors import PlanError

if TYPE_CHECKING:
    import numpy
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    Indices = NDArray[numpy.int64]

HELD_OUT_SEED = 2020
"""Fixed: the held-out images are part of the dataset, not of the run."""


def held_out(labels: Indices, images: int) -> tuple[Indices, Indices]:
    """Return the indices that stay and `images` indices that are held out, both ascending.

    Drawn at random once and for all, with the classes in proportion (to within one image).
    """
    import numpy

    # RandomState, because its sequence is promised never to change.
    shuffled = numpy.random.RandomState(HELD_OUT_SEED).permutation(len(labels))
    out = numpy.sort(shuffled[balanced(labels[shuffled], images)])
    stays = numpy.ones(len(labels), dtype=bool)
    stays[out] = False
    return numpy.flatnonzero(stays), out


def balanced(labels: Indices, images: int) -> Indices:
    """Return `images` ascending indices with the classes in proportion: every k-th of the images sorted by class."""
    import numpy

    assert 0 <= images <= len(labels), (images, len(labels))
    by_class = numpy.argsort(labels, kind="stable")
    return numpy.sort(by_class[numpy.arange(images) * len(labels) // max(images, 1)])


def epoch_length(images: int, batch_size: int) -> int:
    """Return how many images a shuffled epoch uses: whole batches, or all if they do not fill one."""
    return images // batch_size * batch_size or images


class EmptySplit:
    """A split without examples; `why` is said to whoever asks for a batch."""

    def __init__(self, why: str):
        self.why = why

    def __len__(self) -> int:
        return 0

    def limit(self, examples: int) -> EmptySplit:
        return self

    def to(self, device: torch.device) -> EmptySplit:
        return self

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None, augmented: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        raise PlanError.of("dataset", self.why)
