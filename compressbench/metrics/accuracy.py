"""How often a network is right, on the test split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.metric import EvaluationInput, MetricSpec, MetricValue
from compressbench.core.task import Task
from compressbench.metrics._forward import evaluating


@dataclass(frozen=True)
class Accuracy:
    """`top1` and `top5`, fractions of the images, and `loss`, the mean cross-entropy in nats."""

    def specs(self, task: Task) -> tuple[MetricSpec, ...]:
        return tuple(replace(spec, on_data=True) for spec in task.specs)

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        found = accuracy(given.subject.model, given.test_batches())
        return [MetricValue(spec, found[spec.name]) for spec in self.specs(given.task)]


def accuracy(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Return `top1`, `top5` and `loss` over batches of images (n, C, H, W) and labels (n,).

    With fewer than five classes `top5` is over all of them. An image whose logits are not all numbers counts as
    wrong. Runs in evaluation mode and gives the model its modes back. ValueError if there is no image.
    """
    first = next(model.parameters(), torch.empty(0))
    images_seen = 0
    # Sums stay tensors until the end, so that an accelerator never waits for us.
    correct = torch.zeros(2, dtype=torch.int64, device=first.device)
    loss = torch.zeros((), dtype=torch.float64, device=first.device)
    with evaluating(model), torch.inference_mode():
        for images, labels in batches:
            labels = labels.to(first.device)
            logits = model(images.to(first.device)).float()
            loss += functional.cross_entropy(logits, labels, reduction="sum")
            ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices
            hits = (ranked == labels[:, None]) & ~logits.isnan().any(dim=1, keepdim=True)
            correct += torch.stack([hits[:, 0].sum(), hits.sum()])
            images_seen += len(labels)
    if not images_seen:
        raise ValueError("accuracy cannot be measured: there is no image in the test split")
    top1, top5 = correct.tolist()
    return {"top1": top1 / images_seen, "top5": top5 / images_seen, "loss": loss.item() / images_seen}
