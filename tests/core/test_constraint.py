"""A mask keeps what it says and can tell whether it holds."""

import torch
from torch import nn

from compressbench.core.constraint import Mask


def test_a_mask_zeroes_what_it_does_not_keep_and_leaves_the_rest() -> None:
    layer = nn.Linear(3, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    mask = Mask("weight", torch.tensor([[True, False, True]]))
    assert not mask.holds(layer)
    mask.enforce(layer)
    assert layer.weight.tolist() == [[2.0, 0.0, 2.0]]
    assert mask.holds(layer)
