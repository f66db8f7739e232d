"""Residual networks for CIFAR (He et al. 2016, section 4.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.errors import out_of_range
from compressbench.zoo._initialization import he_normal

WIDTHS = (16, 32, 64)


class Shortcut(nn.Module):
    """A shortcut without parameters (option A): every `stride`-th pixel, and zeros for the channels that are new.

    The old channels keep their numbers, the zeros come after them.
    """

    def __init__(self, new_channels: int, stride: int):
        super().__init__()
        self.new_channels = new_channels
        self.stride = stride

    def forward(self, images: Tensor) -> Tensor:
        """Return (n, C + new_channels, H / stride, W / stride) from (n, C, H, W)."""
        return functional.pad(images[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


class Block(nn.Module):
    """Two convolutions of 3 x 3 beside a shortcut."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        unchanged = channels == width and stride == 1
        self.shortcut = nn.Identity() if unchanged else Shortcut(width - channels, stride)
        self.relu2 = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        found = self.relu1(self.bn1(self.conv1(images)))
        found = self.bn2(self.conv2(found))
        output: Tensor = self.relu2(found + self.shortcut(images))
        return output


class ResNetCifar(nn.Module):
    """ResNet-20, -56, -110: a convolution, three stages of (depth - 2) / 6 blocks with 16, 32, 64 filters, one fc.

    He's initialisation, no biases but the last layer's. depth: 6 n + 2, 8 or more; ValueError for another. Any image
    size of at least 4 pixels, thanks to the mean over all positions before `fc`.
    """

    def __init__(self, in_channels: int, classes: int, depth: int):
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise out_of_range("depth", depth, "6 n + 2, for example 20, 56 or 110")
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(in_channels, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu1 = nn.ReLU()
        self.stage1 = _stage(WIDTHS[0], WIDTHS[0], blocks, stride=1)
        self.stage2 = _stage(WIDTHS[0], WIDTHS[1], blocks, stride=2)
        self.stage3 = _stage(WIDTHS[1], WIDTHS[2], blocks, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(WIDTHS[2], classes)
        he_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (n, classes), from (n, in_channels, H, W)."""
        found = self.relu1(self.bn1(self.conv1(images)))
        found = self.stage3(self.stage2(self.stage1(found)))
        logits: Tensor = self.fc(torch.flatten(self.pool(found), 1))
        return logits


def _stage(channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = Block(channels, width, stride)
    return nn.Sequential(first, *(Block(width, width, stride=1) for _ in range(blocks - 1)))
