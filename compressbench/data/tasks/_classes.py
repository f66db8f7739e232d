"""One label for each example: how that is scored. What classifications of pictures and of sequences share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from compressbench.core.metric import MetricSpec
from compressbench.core.task import Loss
from compressbench.data.tasks._shapes import wrong_shape

SPECS = (
    MetricSpec("top1", "fraction", higher_is_better=True, heading="top1", format="percent", limit=True),
    MetricSpec("top5", "fraction", higher_is_better=True, heading="top5", format="percent", limit=True),
    MetricSpec("loss", "nats", higher_is_better=False, limit=True),
)


def hinge(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of max(0, 1 - y t) over logits (n, classes); t is 1 for the label's class, else -1."""
    targets = 2 * functional.one_hot(labels, logits.shape[1]).to(logits.dtype) - 1
    return functional.relu(1 - logits * targets).mean()


def squared_hinge(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of max(0, 1 - y t)^2 (Courbariaux et al. 2015, section 3)."""
    targets = 2 * functional.one_hot(labels, logits.shape[1]).to(logits.dtype) - 1
    return functional.relu(1 - logits * targets).square().mean()


LOSSES: dict[str, Loss] = {
    "cross_entropy": functional.cross_entropy,
    "hinge": hinge,
    "squared_hinge": squared_hinge,
}


def sums(logits: Tensor, labels: Tensor, brief: bool) -> dict[str, Tensor]:
    """Return the number of examples, of right answers, of those with the label among the first five, and the
    cross-entropy in nats.

    With fewer than five classes these are all. An example whose logits are not all numbers counts as wrong. brief: only
    how many are right, where of equal logits the first one counts: to find it takes less than to rank them.
    """
    examples = torch.tensor(len(labels))
    if brief:
        return {"examples": examples, "top1": (logits.argmax(1) == labels).sum()}
    logits = logits.float()
    ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hits = (ranked == labels[:, None]) & ~logits.isnan().any(dim=1, keepdim=True)
    loss = functional.cross_entropy(logits, labels, reduction="sum").double()
    return {"examples": examples, "top1": hits[:, 0].sum(), "top5": hits.sum(), "loss": loss}


def scores(sums: Mapping[str, float]) -> dict[str, float]:
    """Return fractions of the examples, and the mean cross-entropy."""
    return {name: value / sums["examples"] for name, value in sums.items() if name != "examples"}


def fault(outputs: Any, examples: int, classes: int) -> str | None:
    return wrong_shape(outputs, (examples, classes), f"a logit for each of the {classes} classes")
