"""How good a network's answers are on the test split, in the metrics of the task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from compressbench.core.metric import EvaluationInput, MetricSpec, MetricValue
from compressbench.core.task import Inputs, Task, feed, moved, scored
from compressbench.metrics._forward import evaluating


@dataclass(frozen=True)
class Accuracy:
    """What the task scores. Of a classification: `top1`, `top5` (fractions of the examples) and `loss`, the mean
    cross-entropy in nats. Of a language model: `bits_per_character`, `perplexity`, `loss`. Of a regression: `mse`,
    `r2`.
    """

    def specs(self, task: Task) -> tuple[MetricSpec, ...]:
        return tuple(replace(spec, on_data=True) for spec in task.specs)

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        found = accuracy(given.subject.model, given.task, given.test_batches())
        return [MetricValue(spec, found[spec.name]) for spec in self.specs(given.task)]


def accuracy(model: nn.Module, task: Task, batches: Iterable[tuple[Inputs, Tensor]]) -> dict[str, float]:
    """Return the task's metrics by name over batches of inputs and targets.

    Runs in evaluation mode and gives the model its modes back. ValueError if there is no example.
    """
    device = next(model.parameters(), torch.empty(0)).device

    def answered() -> Iterator[tuple[Tensor, Tensor]]:
        for inputs, targets in batches:
            yield feed(model, moved(inputs, device)), targets.to(device)

    with evaluating(model), torch.inference_mode():
        return scored(task, answered())
