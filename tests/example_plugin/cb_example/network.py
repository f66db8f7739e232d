"""A small network with a layer of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Gain(nn.Module):
    """Multiplies each channel by a number that is trained."""

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels
        self.gain = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return images * self.gain


class Tiny(nn.Sequential):
    """A convolution, its gain, and a linear layer. width: channels between them."""

    def __init__(self, in_channels: int, classes: int, width: int = 8):
        super().__init__(
            nn.Conv2d(in_channels, width, 3, padding=1),
            Gain(width),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * width, classes),
        )
