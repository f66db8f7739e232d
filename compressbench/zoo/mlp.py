"""A plain perceptron for rows of numbers."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from compressbench.core.errors import out_of_range


class MLP(nn.Sequential):
    """Linear layers `fc1`, `fc2`, ... with ReLU between them. hidden: the width of each hidden layer.

    torch's default initialisation. ValueError for a width below 1.
    """

    def __init__(self, features: int, outputs: int, hidden: list[int]):
        if any(width < 1 for width in hidden):
            raise out_of_range("hidden", hidden, "widths, each 1 or more")
        widths = [features, *hidden, outputs]
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(1, len(widths)):
            layers[f"fc{number}"] = nn.Linear(widths[number - 1], widths[number])
            if number < len(hidden) + 1:
                layers[f"relu{number}"] = nn.ReLU()
        super().__init__(layers)
