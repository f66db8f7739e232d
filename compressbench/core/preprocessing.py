"""How a picture becomes what a network takes. Every dataset says how its own do; a packed file notes it."""

from __future__ import annotations

from dataclasses import dataclass

Sides = tuple[int, int]
"""Height and width in pixels."""

MODES = {1: "L", 3: "RGB"}
"""What PIL calls pictures of so many channels."""
COLOURS = {1: "grey", 3: "red, green, blue"}
INTERPOLATIONS = ("bilinear", "box")
LAYOUT = "NCHW"
PIXEL_RANGE = (0.0, 1.0)
"""What pixels from 0 to 255 are scaled to before `mean` and `std`, which are of pixels in this range."""


@dataclass(frozen=True)
class Preprocessing:
    """From a picture of any size to float32 (N, channels, *size), in this order.

    channels: 1 makes it grey (ITU-R 601 luma), 3 red, green and blue. resize: made larger or smaller, in proportion,
    until it just covers so many pixels (a square: its shorter side has as many), with PIL's `interpolation`,
    antialiased. crop: its centre of this size is cut out. repeat: every pixel is repeated so often, down and across.
    size: padded to it with black; an odd line goes to the bottom and the right. Then divided by 255, less `mean`, by
    `std`, which are of each channel.
    """

    channels: int
    size: Sides
    crop: Sides
    resize: Sides
    mean: tuple[float, ...]
    std: tuple[float, ...]
    repeat: int = 1
    interpolation: str = "bilinear"

    @property
    def padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Lines of black before and after: (top, bottom), (left, right)."""
        top, left = ((size - self.repeat * crop) // 2 for size, crop in zip(self.size, self.crop, strict=True))
        height, width = (size - self.repeat * crop for size, crop in zip(self.size, self.crop, strict=True))
        return (top, height - top), (left, width - left)

    def __str__(self) -> str:
        """Return it as people read it: the steps that change something, in order."""
        sizes = [" x ".join(map(str, sides)) for sides in (self.size, self.crop, self.resize)]
        size, crop, resize = sizes
        steps = [f"resized until it covers {resize} ({self.interpolation})", f"the centre {crop} cut out"]
        if self.repeat > 1:
            steps.append(f"every pixel repeated {self.repeat} times down and across")
        if any(map(any, self.padding)):
            steps.append(f"padded with black to {size}")
        mean, std = ("(" + ", ".join(f"{value:g}" for value in values) + ")" for values in (self.mean, self.std))
        low, high = (f"{end:g}" for end in PIXEL_RANGE)
        steps.append(f"of pixels from {low} to {high} less mean {mean}, by std {std}")
        return f"float32 {LAYOUT}, {COLOURS[self.channels]}, {size}; a picture is {', '.join(steps)}"
