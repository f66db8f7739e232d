"""A network as small as it can be with all that techniques look for: for tests of thousands of stacks."""

from __future__ import annotations

from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.subject import Subject
from tests.techniques.lending import seeded


class Tiny(nn.Sequential):
    """Two convolutions with batch norm, dropout, two dense layers; channels that suit runs and patterns of 8. The pool
    stands where binary networks want it.

    Named as the last ones of AlexNet. For images of 3 x 16 x 16 and ten classes; 1,600 parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        parts = {
            "conv4": nn.Conv2d(3, 8, 3, stride=4, padding=1),
            "bn4": nn.BatchNorm2d(8),
            "relu4": nn.ReLU(),
            "conv5": nn.Conv2d(8, 8, 3, padding=1),
            "pool": nn.MaxPool2d(2),
            "bn5": nn.BatchNorm2d(8),
            "relu5": nn.ReLU(),
            "flatten": nn.Flatten(),
            "dropout": nn.Dropout(0.5),
            "fc1": nn.Linear(32, 16),
            "relu_fc1": nn.ReLU(),
            "fc2": nn.Linear(16, 10),
        }
        for name, part in parts.items():
            self.add_module(name, part)


def tiny() -> Subject:
    """Return the network, always with the same weights."""
    architecture = Architecture("tests.techniques.tiny.Tiny", {})
    return seeded(lambda: Subject(Tiny(), architecture))
