"""The length of all parameters, as of one vector."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from compressbench.core.metric import EvaluationInput, MetricSpec, MetricValue
from compressbench.core.task import Task

WEIGHT_NORM = MetricSpec("weight_norm", "norm", higher_is_better=False, heading="norm", limit=True)


@dataclass(frozen=True)
class WeightNorm:
    """`weight_norm`: the root of the sum of all squared parameters."""

    def specs(self, task: Task) -> tuple[MetricSpec, ...]:
        return (WEIGHT_NORM,)

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        with torch.no_grad():
            total = sum(parameter.double().square().sum() for parameter in given.subject.model.parameters())
        return [MetricValue(WEIGHT_NORM, float(total) ** 0.5)]
