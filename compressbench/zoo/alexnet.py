"""The AlexNet of the survey (Choudhary et al. 2020, Tables 5, 6 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from compressbench.core.faults import out_of_range


class _Convolution(NamedTuple):
    channels: int
    kernel: int
    stride: int
    pool: bool


CONVOLUTIONS = (
    _Convolution(64, 11, 4, pool=True),
    _Convolution(192, 5, 1, pool=True),
    _Convolution(384, 3, 1, pool=False),
    _Convolution(256, 3, 1, pool=False),
    _Convolution(256, 3, 1, pool=True),
)


class AlexNet(nn.Sequential):
    """AlexNet for images of 32 x 32, which it shrinks to 256 x 1 x 1. Modules in the order they run.

    The survey prints neither the network nor its source; this one has its parameters and FLOPs to the last digit.
    Weights start with torch's default: five convolutions are few enough for it.

    in_channels, classes: of the dataset. batch_norm: BatchNorm2d after every convolution (the survey's "BND" is this
    and `dropout`). dropout: probability before each hidden fully connected layer, 0 for none, less than 1. conv_bias:
    whether convolutions have biases. hidden: widths of the hidden fully connected layers. pool_first: pools stand
    between convolution and batch norm, as binary networks want them (Hubara et al. 2016). ValueError out of range.

    We differ: the survey's batch-norm networks may have averaged in the last pool; all of ours take the maximum.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        batch_norm: bool,
        dropout: float,
        conv_bias: bool,
        hidden: Sequence[int],
        pool_first: bool = False,
    ):
        if not 0 <= dropout < 1:
            raise out_of_range("dropout", dropout, "0 or more and less than 1")
        if min(hidden, default=1) < 1:
            raise out_of_range("hidden", list(hidden), "widths of 1 or more, [] for no hidden layer")
        super().__init__()
        channels = in_channels
        for number, conv in enumerate(CONVOLUTIONS, start=1):
            self.add_module(
                f"conv{number}",
                nn.Conv2d(
                    channels, conv.channels, conv.kernel, stride=conv.stride, padding=conv.kernel // 2, bias=conv_bias
                ),
            )
            activation: dict[str, nn.Module] = {f"bn{number}": nn.BatchNorm2d(conv.channels)} if batch_norm else {}
            activation[f"relu{number}"] = nn.ReLU()
            pool: dict[str, nn.Module] = {f"pool{number}": nn.MaxPool2d(2)} if conv.pool else {}
            for name, module in (pool | activation if pool_first else activation | pool).items():
                self.add_module(name, module)
            channels = conv.channels
        self.add_module("flatten", nn.Flatten())
        for number, width in enumerate(hidden, start=1):
            if dropout > 0:
                self.add_module(f"dropout_fc{number}", nn.Dropout(dropout))
            self.add_module(f"fc{number}", nn.Linear(channels, width))
            self.add_module(f"relu_fc{number}", nn.ReLU())
            channels = width
        self.add_module(f"fc{len(hidden) + 1}", nn.Linear(channels, classes))
