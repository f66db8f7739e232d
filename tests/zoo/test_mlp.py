"""The perceptron has the layers it is asked for."""

from __future__ import annotations

import pytest
from torch import nn

from compressbench.zoo.mlp import MLP


def test_it_has_the_widths_it_is_given() -> None:
    model = MLP(10, 1, hidden=[6, 4])
    assert [tuple(layer.weight.shape) for layer in model if isinstance(layer, nn.Linear)] == [(6, 10), (4, 6), (1, 4)]
    assert [name for name, _ in model.named_children()] == ["fc1", "relu1", "fc2", "relu2", "fc3"]
    assert [name for name, _ in MLP(10, 1, hidden=[]).named_children()] == ["fc1"]


def test_layers_without_width_are_refused() -> None:
    with pytest.raises(ValueError, match="hidden is"):
        MLP(10, 1, hidden=[0])
