"""VGG-16 for images of 32 x 32."""

from __future__ import annotations

from torch import nn

from compressbench.zoo._initialization import he_normal

CHANNELS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of the convolutions; a max pool stands after each group."""


class VGG16Cifar(nn.Sequential):
    """The VGG-16 that Li et al. 2017 (section 4.1) prune on CIFAR10: 13 convolutions, then 512 -> 512 -> classes.

    Batch norm after every convolution and after `fc1`, no dropout. The convolutions have no biases (batch norm takes
    them away). He's initialisation. Images of 32 x 32 come out of the last pool as 512 x 1 x 1.
    """

    def __init__(self, in_channels: int, classes: int):
        super().__init__()
        channels, number = in_channels, 0
        for group, widths in enumerate(CHANNELS, start=1):
            for width in widths:
                number += 1
                self.add_module(f"conv{number}", nn.Conv2d(channels, width, 3, padding=1, bias=False))
                self.add_module(f"bn{number}", nn.BatchNorm2d(width))
                self.add_module(f"relu{number}", nn.ReLU())
                channels = width
            self.add_module(f"pool{group}", nn.MaxPool2d(2))
        self.add_module("flatten", nn.Flatten())
        self.add_module("fc1", nn.Linear(channels, 512))
        self.add_module("bn_fc1", nn.BatchNorm1d(512))
        self.add_module("relu_fc1", nn.ReLU())
        self.add_module("fc2", nn.Linear(512, classes))
        he_normal(self)
