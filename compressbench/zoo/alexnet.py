"""The AlexNet of the survey (Choudhary et al. 2020, Tables 5, 6 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from compressbench.core.errors import out_of_range, suggestion


class _Convolution(NamedTuple):
    kernel: int
    stride: int
    pool: bool


CONVOLUTIONS = (
    _Convolution(11, 4, pool=True),
    _Convolution(5, 1, pool=True),
    _Convolution(3, 1, pool=False),
    _Convolution(3, 1, pool=False),
    _Convolution(3, 1, pool=True),
)
CHANNELS = (64, 192, 384, 256, 256)
LAST_POOLS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


class AlexNet(nn.Sequential):
    """AlexNet for images of 32 x 32, which it shrinks to 256 x 1 x 1. Modules in the order they run.

    The survey prints neither the network nor its source; this one has its parameters and FLOPs to the last digit.
    Weights start with torch's default: five convolutions are few enough for it.

    in_channels, classes: of the dataset. batch_norm: BatchNorm2d after every convolution (the survey's "BND" is this
    and `dropout`). dropout: probability before each hidden fully connected layer, 0 for none, less than 1. conv_bias:
    whether convolutions have biases. hidden: widths of the hidden fully connected layers. pool_first: pools stand
    between convolution and batch norm, as binary networks want them (Hubara et al. 2016). channels: of the five
    convolutions. last_pool: `max`, or `average`, as the public code that the survey's batch-norm networks probably come
    from has it (Liu et al. 2019, rethinking-network-pruning). ValueError out of range.
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
        channels: Sequence[int] = CHANNELS,
        last_pool: str = "max",
    ):
        if not 0 <= dropout < 1:
            raise out_of_range("dropout", dropout, "0 or more and less than 1")
        if min(hidden, default=1) < 1:
            raise out_of_range("hidden", list(hidden), "widths of 1 or more, [] for no hidden layer")
        if len(channels) != len(CONVOLUTIONS) or min(channels) < 1:
            raise out_of_range("channels", list(channels), f"{len(CONVOLUTIONS)} widths of 1 or more")
        if last_pool not in LAST_POOLS:
            raise ValueError(f"last_pool is {last_pool!r}; {suggestion(last_pool, LAST_POOLS)}")
        super().__init__()
        inputs = in_channels
        for number, (conv, width) in enumerate(zip(CONVOLUTIONS, channels, strict=True), start=1):
            convolution = nn.Conv2d(inputs, width, conv.kernel, conv.stride, conv.kernel // 2, bias=conv_bias)
            self.add_module(f"conv{number}", convolution)
            activation: dict[str, nn.Module] = {f"bn{number}": nn.BatchNorm2d(width)} if batch_norm else {}
            activation[f"relu{number}"] = nn.ReLU()
            made = LAST_POOLS[last_pool] if number == len(CONVOLUTIONS) else nn.MaxPool2d
            pool: dict[str, nn.Module] = {f"pool{number}": made(2)} if conv.pool else {}
            for name, module in (pool | activation if pool_first else activation | pool).items():
                self.add_module(name, module)
            inputs = width
        self.add_module("flatten", nn.Flatten())
        for number, width in enumerate(hidden, start=1):
            if dropout > 0:
                self.add_module(f"dropout_fc{number}", nn.Dropout(dropout))
            self.add_module(f"fc{number}", nn.Linear(inputs, width))
            self.add_module(f"relu_fc{number}", nn.ReLU())
            inputs = width
        self.add_module(f"fc{len(hidden) + 1}", nn.Linear(inputs, classes))
