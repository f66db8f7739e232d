"""Whether a language model is one."""

from __future__ import annotations

import torch
from torch import nn


def assert_causal(model: nn.Module) -> None:
    """No place of a text of 8 tokens out of 11 sees what comes after it."""
    text = torch.randint(11, (2, 8))
    other = text.clone()
    other[:, 5:] = (other[:, 5:] + 1) % 11
    before, after = model(text), model(other)
    assert before.shape == (2, 8, 11)
    assert torch.allclose(before[:, :5], after[:, :5], atol=1e-6)
    assert not torch.allclose(before[:, 5:], after[:, 5:], atol=1e-3)
