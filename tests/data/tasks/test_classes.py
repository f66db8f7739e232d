"""Losses by hand."""

import pytest
import torch
from torch.nn import functional

from compressbench.data.tasks._classes import LOSSES, hinge, squared_hinge

LOGITS = torch.tensor([[2.0, -0.5, 0.0], [0.25, 0.5, -3.0]])
LABELS = torch.tensor([0, 1])
MARGINS = [0.0, 0.5, 1.0, 1.25, 0.5, 0.0]
"""max(0, 1 - y t): of the first image 1 - 2 < 0, 1 - 0.5, 1 + 0; of the second 1 + 0.25, 1 - 0.5, 1 - 3 < 0."""


def test_hinge_is_the_mean_over_images_and_classes() -> None:
    assert hinge(LOGITS, LABELS).item() == pytest.approx(sum(MARGINS) / 6)


def test_squared_hinge_is_the_mean_of_the_squares() -> None:
    assert squared_hinge(LOGITS, LABELS).item() == pytest.approx(sum(margin**2 for margin in MARGINS) / 6)


def test_only_what_is_within_the_margin_pulls() -> None:
    logits = LOGITS.clone().requires_grad_()
    hinge(logits, LABELS).backward()
    assert logits.grad is not None
    assert (logits.grad * 6).tolist() == [[0, 1, 1], [1, -1, 0]]


def test_the_usual_loss_is_the_cross_entropy() -> None:
    assert LOSSES["cross_entropy"](LOGITS, LABELS) == functional.cross_entropy(LOGITS, LABELS)
