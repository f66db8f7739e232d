"""FLOPs the way the survey counted them, only to stand beside its tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from compressbench.core.metric import EvaluationInput, MetricSpec, MetricValue
from compressbench.core.task import Inputs, Task, first
from compressbench.metrics._forward import Call, calls

IMAGES = 3
"""The counter ran a batch of three and the survey did not divide by it."""
POOLS = (nn.MaxPool2d, nn.AvgPool2d)

SURVEY = MetricSpec("flops_survey", "count", higher_is_better=False, heading="survey FLOPs", format="count")


@dataclass(frozen=True)
class FlopsSurvey:
    """`flops_survey`: see the function of that name."""

    predictable: ClassVar[bool] = True

    def specs(self, task: Task) -> tuple[MetricSpec, ...]:
        return (SURVEY,)

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        return [MetricValue(SURVEY, flops_survey(given.subject.model, given.example))]


def flops_survey(model: nn.Module, example: Inputs) -> int:
    """Return the FLOPs of Choudhary et al. 2020, Tables 5 and 6, by the shapes there are now.

    It is three times what the counter of Liu et al. 2019 (their `compute_flops.py`) finds for one image: two a
    multiply-add; one an output for a bias; one an element for ReLU, two for BatchNorm2d; the window's size an output
    for MaxPool2d and AvgPool2d; nothing for anything else. Zero weights count: it knows shapes only.

    One rule is the survey's networks', not the counter's: a pool after the last convolution counts only in a network
    without BatchNorm2d. The counter sees modules; the VGG code that batch-norm networks of that time descend from
    makes its last pool on the fly, and all of the survey's batch-norm figures come out only without it.
    """
    made = calls(model, first(example, 1))
    convolutions = [place for place, call in enumerate(made) if isinstance(call.module, nn.Conv2d)]
    last_convolution = convolutions[-1] if convolutions else -1
    has_batch_norm = any(isinstance(call.module, nn.BatchNorm2d) for call in made)
    return IMAGES * sum(
        _flops(call)
        for place, call in enumerate(made)
        if not (has_batch_norm and place > last_convolution and isinstance(call.module, POOLS))
    )


def _flops(call: Call) -> int:
    module, outputs = call.module, math.prod(call.output_shape)
    if isinstance(module, nn.Conv2d):
        window = math.prod(module.kernel_size) * (module.in_channels // module.groups)
        return outputs * (2 * window + (module.bias is not None))
    if isinstance(module, nn.Linear):
        return outputs * (2 * module.in_features + (module.bias is not None))
    if isinstance(module, nn.BatchNorm2d):
        return 2 * outputs
    if isinstance(module, nn.ReLU):
        return outputs
    if isinstance(module, POOLS):
        size = module.kernel_size
        return outputs * (size * size if isinstance(size, int) else math.prod(size))
    return 0
