"""A split read from its files batch by batch, by worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from compressbench.core.errors import Fault, PlanError, out_of_range
from compressbench.data._decoding import central, open_image
from compressbench.data._selection import balanced, epoch_length
from compressbench.data.in_memory import Normalise
from compressbench.vision import torchvision


@dataclass(frozen=True)
class View:
    """How a picture becomes pixels: resized to `resize` at the shorter side, its centre of `image_size` taken.

    random_resized_crop, flip: what is done instead, and besides, when the split is shuffled.
    """

    image_size: int
    resize: int
    random_resized_crop: bool = False
    flip: bool = False


class StreamedSplit:
    """Image files and labels int64 (N,). Decoded by `workers` processes, 0: by this one.

    The batches depend on the generator's state, never on the number of workers: every image's augmentation has a
    seed of its own, drawn from the generator. mean, std: as for `InMemorySplit`.
    """

    def __init__(
        self,
        files: Sequence[str],
        labels: Tensor,
        view: View,
        mean: Sequence[float],
        std: Sequence[float],
        workers: int,
    ):
        assert len(files) == len(labels) > 0, (len(files), len(labels))
        self.files, self.labels, self.view, self.workers = list(files), labels, view, workers
        self.mean, self.std = tuple(mean), tuple(std)

    def __len__(self) -> int:
        return len(self.files)

    def limit(self, examples: int) -> StreamedSplit:
        """Return a split of `examples` of the images, classes in proportion; all if there are fewer."""
        if examples >= len(self):
            return self
        chosen = balanced(self.labels.numpy(), examples)
        files, labels = [self.files[index] for index in chosen], self.labels[torch.from_numpy(chosen)]
        return StreamedSplit(files, labels, self.view, self.mean, self.std, self.workers)

    def to(self, device: torch.device) -> StreamedSplit:
        """Return this split: its batches come from workers, into main memory."""
        return self

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None, augmented: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches as `core.data.Split` says. PlanError, naming the file, for an image that cannot be read."""
        if batch_size < 1:
            raise out_of_range("batch_size", batch_size, "1 or more")
        if generator is None:
            order = torch.arange(len(self))
            seeds: list[int | None] = [None] * len(self)
        else:
            used = epoch_length(len(self), batch_size)
            order = torch.randperm(len(self), generator=generator)[:used]
            drawn = torch.randint(2**62, (used,), generator=generator).tolist()
            seeds = drawn if augmented else [None] * used
        return self._read(order, seeds, batch_size)

    def _read(self, order: Tensor, seeds: list[Any], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        loader = DataLoader(
            _Pictures([self.files[index] for index in order.tolist()], seeds, self.view),
            batch_size=batch_size,
            num_workers=min(self.workers, -(-len(order) // batch_size)),
            collate_fn=_stack,
            generator=torch.Generator(),  # else the loader draws from the global one
        )
        normalise = Normalise(self.mean, self.std)
        for images, labels in zip(loader, torch.split(self.labels[order], batch_size), strict=True):
            if isinstance(images, Fault):
                raise PlanError([images])
            yield normalise(images), labels


class _Pictures(TorchDataset[Any]):
    """Decodes and augments one picture at a time; a picture that cannot be read comes back as its Fault."""

    def __init__(self, files: list[str], seeds: list[int | None], view: View):
        self.files, self.seeds, self.view = files, seeds, view
        v2 = torchvision("transforms.v2")
        steps = [v2.RandomResizedCrop(view.image_size, antialias=True)] if view.random_resized_crop else []
        self.augment = v2.Compose([*steps, v2.RandomHorizontalFlip(0.5 if view.flip else 0.0)])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> Tensor | Fault:
        try:
            image = open_image(self.files[number])
        except PlanError as error:
            return error.faults[0]
        seed = self.seeds[number]
        if seed is None or not self.view.random_resized_crop:
            image = central(image, (self.view.resize,) * 2, (self.view.image_size,) * 2)
        if seed is not None:
            image = _seeded(seed, self.augment, image)
        return torch.from_numpy(numpy.array(image)).permute(2, 0, 1)


def _seeded(seed: int, transform: Any, image: Any) -> Any:
    """Return `transform(image)` with torch's global generator, which torchvision draws from, seeded and put back."""
    before = torch.get_rng_state()
    try:
        torch.default_generator.manual_seed(seed)
        return transform(image)
    finally:
        torch.set_rng_state(before)


def _stack(pictures: list[Tensor | Fault]) -> Tensor | Fault:
    """Return the batch, or the first picture that cannot be read."""
    found = []
    for picture in pictures:
        if isinstance(picture, Fault):
            return picture
        found.append(picture)
    return torch.stack(found)
