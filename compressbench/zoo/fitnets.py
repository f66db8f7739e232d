"""The networks of FitNets on CIFAR: a thin student of 19 layers and its wide teacher (Romero et al. 2015)."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from compressbench.core.errors import out_of_range
from compressbench.zoo._initialization import he_normal

GROUPS = ((32, 32, 32, 48, 48), (80,) * 6, (128,) * 6)
"""Of FitNet-4: channels after the maxout of each convolution; a pool stands after each group."""
HIDDEN = 500


class Maxout(nn.Module):
    """The largest of every `pieces` channels that lie beside each other (Goodfellow et al. 2013)."""

    def __init__(self, pieces: int):
        super().__init__()
        self.pieces = pieces

    def forward(self, input: Tensor) -> Tensor:
        """Return (n, channels / pieces, ...) from (n, channels, ...)."""
        largest: Tensor = input.unflatten(1, (-1, self.pieces)).amax(2)
        return largest


class FitNet4(nn.Sequential):
    """FitNet-4: 17 convolutions of 3 x 3, a hidden layer of 500 and the outputs, 2.5 M parameters on CIFAR10.

    Maxout of two pieces after every layer but the last; max pools of 2 x 2 after the fifth and the eleventh
    convolution, of 8 x 8 after the last; for images of 32 x 32. He's initialisation; no batch norm, as in the paper.
    """

    def __init__(self, in_channels: int, classes: int):
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels, number = in_channels, 0
        for group, widths in enumerate(GROUPS, start=1):
            for width in widths:
                number += 1
                layers[f"conv{number}"] = nn.Conv2d(channels, 2 * width, 3, padding=1)
                layers[f"maxout{number}"] = Maxout(2)
                channels = width
            layers[f"pool{group}"] = nn.MaxPool2d(8 if group == len(GROUPS) else 2)
        layers["flatten"] = nn.Flatten()
        layers["fc1"] = nn.Linear(channels, 2 * HIDDEN)
        layers["maxout_fc1"] = Maxout(2)
        layers["fc2"] = nn.Linear(HIDDEN, classes)
        super().__init__(layers)
        he_normal(self)


class FitNetsTeacher(nn.Sequential):
    """The maxout network of Goodfellow et al. 2013 (section 5.2) that teaches the FitNets, 9 M parameters on CIFAR10.

    Convolutions of 96, 192 and 192 channels, maxout of two pieces after each, and a hidden layer of 500 with five; for
    images of 32 x 32. dropout: probability before each layer but the first; 0 for none. Paddings are ours, such that
    what `fc1` reads is 192 x 3 x 3.
    """

    def __init__(self, in_channels: int, classes: int, dropout: float):
        if not 0 <= dropout < 1:
            raise out_of_range("dropout", dropout, "0 or more and less than 1")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = in_channels
        convolutions = ((96, 8, 4, nn.MaxPool2d(4, 2)), (192, 8, 3, nn.MaxPool2d(4, 2)), (192, 5, 2, nn.MaxPool2d(2)))
        for number, (width, kernel, padding, pool) in enumerate(convolutions, start=1):
            layers[f"conv{number}"] = nn.Conv2d(channels, 2 * width, kernel, padding=padding)
            layers[f"maxout{number}"] = Maxout(2)
            layers[f"pool{number}"] = pool
            layers[f"dropout{number}"] = nn.Dropout(dropout)
            channels = width
        layers["flatten"] = nn.Flatten()
        layers["fc1"] = nn.Linear(channels * 9, 5 * HIDDEN)
        layers["maxout_fc1"] = Maxout(5)
        layers["dropout_fc1"] = nn.Dropout(dropout)
        layers["fc2"] = nn.Linear(HIDDEN, classes)
        super().__init__(layers)
        he_normal(self)
