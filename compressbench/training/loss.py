"""The losses a training may minimise, by the name `TrainingConfig.loss` gives them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional


def hinge(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of max(0, 1 - y t) over logits (n, classes); t is 1 for the label's class, else -1."""
    targets = 2 * functional.one_hot(labels, logits.shape[1]).to(logits.dtype) - 1
    return functional.relu(1 - logits * targets).mean()


def squared_hinge(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of max(0, 1 - y t)^2 (Courbariaux et al. 2015, section 3)."""
    targets = 2 * functional.one_hot(labels, logits.shape[1]).to(logits.dtype) - 1
    return functional.relu(1 - logits * targets).square().mean()


LOSS_OF: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": functional.cross_entropy,
    "hinge": hinge,
    "squared_hinge": squared_hinge,
}
