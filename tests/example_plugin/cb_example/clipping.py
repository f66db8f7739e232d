"""Clipping: no weight is larger than a quantile of its layer's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique


@dataclass(eq=False)
class Limited:
    """No element of `parameter` is further from zero than `limit`, one number."""

    parameter: str
    limit: Tensor

    def enforce(self, model: nn.Module) -> None:
        with torch.no_grad():
            model.get_parameter(self.parameter).clamp_(-self.limit, self.limit)

    def holds(self, model: nn.Module) -> bool:
        return bool((model.get_parameter(self.parameter).abs() <= self.limit).all())

    def __str__(self) -> str:
        return f"Limited {self.parameter} (at most {float(self.limit):.3g})"


@dataclass(frozen=True)
class Clipping(Technique):
    """Clip the weights of every convolution and linear layer.

    quantile: of a layer's absolute weights; what is larger is set to it.
    """

    quantile: float = 0.9

    adds = frozenset({"retrained"})

    def __post_init__(self) -> None:
        if not 0 < self.quantile <= 1:
            raise ValueError(f"quantile is {self.quantile}; allowed: more than 0 and at most 1")

    def apply(self, subject: Subject, context: Context) -> Subject:
        for name, module in subject.model.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                limit = torch.quantile(module.weight.detach().abs().flatten(), self.quantile)
                subject.constraints.append(Limited(f"{name}.weight", limit))
        subject.enforce()
        return subject
