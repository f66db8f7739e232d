"""A small network whose filters can be taken away by gates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.techniques.lending import seeded
from tests.techniques.pruning.twins import lived_in


class Gated(nn.Module):
    """Two convolutions with batch norms, ReLU in place; each filter is multiplied by a gate where it is read."""

    def __init__(self, gates: Tensor | None = None):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.conv2, self.fc = nn.Conv2d(6, 4, 3), nn.Linear(4, 10)
        self.relu, self.gates = nn.ReLU(inplace=True), gates

    def forward(self, images: Tensor) -> Tensor:
        first = self.bn1(self.conv1(images))
        if self.gates is not None:
            first = first * self.gates[:, :, None, None]
        return self.fc(self.relu(self.conv2(self.relu(first))).mean((2, 3)))


def network() -> Gated:
    return lived_in(seeded(Gated))


def with_useless_filters() -> tuple[Gated, Tensor]:
    """Return a network in which nothing reads filters 0, 2 and 3 of conv1, the largest, nor 1 and 3 of conv2; and the
    weights of the others of conv1."""
    model = network()
    with torch.no_grad():
        model.conv2.weight[:, [0, 2, 3]] = 0
        model.fc.weight[:, [1, 3]] = 0
        model.conv1.weight[[0, 2, 3]] = 100
        return model, model.conv1.weight[[1, 4, 5]].clone()


BATCHES = [{"a": torch.tensor([[3.0, 1.0], [-4.0, 1.0]])}, {"a": torch.tensor([[1.0, 0.0], [0.0, 2.0]])}]
"""Two batches of two examples, two filters."""
