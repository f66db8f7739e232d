"""A split held in memory as one uint8 tensor; batches are cut, flipped and normalised whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from compressbench.core.data import Splits
from compressbench.core.errors import PlanError, out_of_range
from compressbench.data._selection import EmptySplit, balanced, epoch_length, held_out


class InMemorySplit:
    """All images of a split as one uint8 tensor (N, C, H, W), labels int64 (N,).

    mean, std: of each channel, for pixels in [0, 1]. pad: with a generator, every image is padded with `pad`
    black pixels on each side and cut back to its size at a random place; flip: and mirrored left to right with
    probability 1/2 (He et al. 2016, section 4.2).

    Order, places and flips of a whole epoch are drawn when `batches` is called, not when it is consumed.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, mean: Sequence[float], std: Sequence[float], pad: int, flip: bool
    ):
        assert images.dtype == torch.uint8, images.dtype
        assert images.ndim == 4, images.shape
        assert labels.dtype == torch.int64, labels.dtype
        assert len(images) == len(labels) > 0, (len(images), len(labels))
        assert images.device == labels.device, (images.device, labels.device)
        assert pad >= 0, pad
        self.mean, self.std, self.pad, self.flip = tuple(mean), tuple(std), pad, flip
        self.labels = labels
        self.size = (images.shape[2], images.shape[3])
        self._padded = (functional.pad(images, (pad,) * 4) if pad else images).contiguous()
        # Only the padded images are kept; without a generator their middle is looked at.
        self.images = self._padded[:, :, pad : pad + self.size[0], pad : pad + self.size[1]]
        self._normalise = Normalise(mean, std, images.device)

    def __len__(self) -> int:
        return len(self.labels)

    def limit(self, examples: int) -> InMemorySplit:
        """Return a split of `examples` of the images, classes in proportion; all if there are fewer."""
        if examples >= len(self):
            return self
        chosen = torch.from_numpy(balanced(self.labels.cpu().numpy(), examples)).to(self.labels.device)
        return InMemorySplit(self.images[chosen], self.labels[chosen], self.mean, self.std, self.pad, self.flip)

    def to(self, device: torch.device) -> InMemorySplit:
        """Return a split that lies on `device` and makes the same batches there, from the same generators."""
        if device == self.labels.device:
            return self
        images, labels = self.images.to(device), self.labels.to(device)
        return InMemorySplit(images, labels, self.mean, self.std, self.pad, self.flip)

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None, augmented: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches as `core.data.Split` says. ValueError for a batch size below 1."""
        if batch_size < 1:
            raise out_of_range("batch_size", batch_size, "1 or more")
        if generator is None:
            return self._in_order(batch_size)
        used, device = epoch_length(len(self), batch_size), self.labels.device

        def draw(high: int) -> Tensor:
            return torch.randint(high, (len(self),), generator=generator)[:used].to(device)

        order = torch.randperm(len(self), generator=generator)[:used].to(device)
        if not augmented:
            return self._chosen(batch_size, order)
        positions = 2 * self.pad + 1
        start = draw(positions) * self._padded.shape[3] + draw(positions) if self.pad else None
        mirrored = draw(2) if self.flip else None
        return self._shuffled(batch_size, order, start, mirrored)

    def _in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in zip(
            torch.split(self.images, batch_size), torch.split(self.labels, batch_size), strict=True
        ):
            yield self._normalise(images), labels

    def _chosen(self, batch_size: int, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for chosen in torch.split(order, batch_size):
            yield self._normalise(self.images[chosen]), self.labels[chosen]

    def _shuffled(
        self, batch_size: int, order: Tensor, start: Tensor | None, mirrored: Tensor | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        labels = torch.split(self.labels[order], batch_size)
        if start is None:
            source, rows = self._padded, order
        else:
            source, rows = self._runs(), order * self._padded[0].numel() + start
        for number, chosen in enumerate(torch.split(rows, batch_size)):
            images = source.index_select(0, chosen)
            if start is not None:
                images = self._crop(images)
            if mirrored is not None:
                images = _mirror(images, mirrored[number * batch_size : (number + 1) * batch_size])
            yield self._normalise(images), labels[number]

    def _runs(self) -> Tensor:
        """Return the padded images as one row of bytes for every place a crop can start, all of them views.

        A crop and what lies between its lines is one run of bytes: from its first pixel in the first channel to
        its last in the last. Copying 128 such runs takes a fifth of the time of indexing pixel by pixel.
        """
        channels, height, width = self._padded.shape[1:]
        length = (channels - 1) * height * width + (self.size[0] - 1) * width + self.size[1]
        return self._padded.view(-1).unfold(0, length, 1)

    def _crop(self, runs: Tensor) -> Tensor:
        """Return the crops (n, C, H, W) inside the runs, leaving out what lies between their lines."""
        channels, height, width = self._padded.shape[1:]
        return runs.as_strided((len(runs), channels, *self.size), (runs.shape[1], height * width, width, 1))


class Normalise:
    """(pixels / 255 - mean) / std of every channel, as one multiplication and one addition in place."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device | str = "cpu"):
        mean_, std_ = (torch.tensor(list(values), dtype=torch.float64).view(1, -1, 1, 1) for values in (mean, std))
        self.scale, self.shift = (1 / (255 * std_)).float().to(device), (-mean_ / std_).float().to(device)

    def __call__(self, images: Tensor) -> Tensor:
        """Return float32, contiguous, for uint8 (n, C, H, W)."""
        pixels = images.to(torch.float32, memory_format=torch.contiguous_format)
        return pixels.mul_(self.scale).add_(self.shift)  # in place: half the time of addcmul


def _mirror(images: Tensor, mirrored: Tensor) -> Tensor:
    """Return `images` with those left-right reversed where `mirrored` (n,) is 1.

    As bits: `images ^ ((reversed ^ images) & 255 or 0)`, which is vectorised; `where` takes five times as long.
    """
    images = images.contiguous()
    mask = mirrored.to(torch.uint8).mul_(255).view(-1, 1, 1, 1)
    return images.flip(3).bitwise_xor_(images).bitwise_and_(mask).bitwise_xor_(images)


def carved(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    mean: Sequence[float],
    std: Sequence[float],
    validation_images: int,
    crop_padding: int = 0,
    flip: bool = False,
) -> Splits:
    """Return the splits, `validation_images` held out from `train`; only the rest is augmented.

    train, test: images uint8 (N, C, H, W) and labels int64 (N,). PlanError if nothing were left to train on.
    """
    images, labels = train
    if validation_images >= len(labels):
        what = f"is {validation_images}; allowed: less than the {len(labels)} training images"
        raise PlanError.of("dataset.validation_images", what)
    measured = InMemorySplit(*test, mean, std, pad=0, flip=False)
    if validation_images == 0:
        nothing = EmptySplit("there is no validation split, because dataset.validation_images is 0")
        return Splits(InMemorySplit(images, labels, mean, std, crop_padding, flip), nothing, measured)
    kept, out = (torch.from_numpy(part) for part in held_out(labels.numpy(), validation_images))
    return Splits(
        InMemorySplit(images[kept], labels[kept], mean, std, crop_padding, flip),
        InMemorySplit(images[out], labels[out], mean, std, pad=0, flip=False),
        measured,
    )
