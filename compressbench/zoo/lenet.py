"""The two LeNets of the compression literature."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from compressbench.core.errors import out_of_range


class LeNet5(nn.Sequential):
    """LeNet-5 as Caffe ships it and Han et al. 2015 (section 4.1) prune it: 20 and 50 filters of 5 x 5, 431 K weights.

    As in Caffe's, the only ReLU stands after `fc1`; the max pools are the other non-linearities. torch's default
    initialisation. image_size: height and width in pixels, 16 or more; 28 for MNIST as it is published. filters: of the
    two convolutions; None: 20 and 50. hidden: units of `fc1`.
    ValueError for less.
    """

    def __init__(
        self, in_channels: int, classes: int, image_size: int, filters: list[int] | None = None, hidden: int = 500
    ):
        if image_size < 16:
            raise out_of_range("image_size", image_size, "16 or more")
        first, second = filters if filters is not None and len(filters) == 2 else (20, 50)
        if filters not in (None, [first, second]) or min(first, second, hidden) < 1:
            raise ValueError(f"filters is {filters} and hidden is {hidden}; allowed: two numbers, and one, 1 or more")
        side = ((image_size - 4) // 2 - 4) // 2
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, first, 5),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(first, second, 5),
                pool2=nn.MaxPool2d(2),
                flatten=nn.Flatten(),
                fc1=nn.Linear(second * side * side, hidden),
                relu1=nn.ReLU(),
                fc2=nn.Linear(hidden, classes),
            )
        )


class LeNet300100(nn.Sequential):
    """LeNet-300-100 (LeCun et al. 1998): two hidden layers, fully connected, 267 K parameters on MNIST.

    With ReLU, as the pruning papers train it. torch's default initialisation. image_size: height and width in pixels,
    1 or more; 28 for MNIST as it is published. ValueError for less.
    """

    def __init__(self, in_channels: int, classes: int, image_size: int):
        if image_size < 1:
            raise out_of_range("image_size", image_size, "1 or more")
        super().__init__(
            OrderedDict(
                flatten=nn.Flatten(),
                fc1=nn.Linear(in_channels * image_size * image_size, 300),
                relu1=nn.ReLU(),
                fc2=nn.Linear(300, 100),
                relu2=nn.ReLU(),
                fc3=nn.Linear(100, classes),
            )
        )
