"""Training that drives the scales of batch normalisation to zero, for network slimming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeGuard

import torch
from torch import nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.objective import Hook
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._layers import layers_of
from compressbench.techniques.training._initialization import AS_BUILT, check_init, initialize


@dataclass(frozen=True)
class SparsityTraining(Technique):
    """Train with an L1 penalty on the scales (gamma) of every BatchNorm2d; others are skipped.

    Source: Liu et al. 2017, "Learning Efficient Convolutional Networks through Network Slimming", equation 1.

    scale_l1: the penalty's weight, lambda in the paper: 1e-4 for VGG, 1e-5 for ResNet and DenseNet. Its
        subgradient, lambda * sign(gamma), is added after the backward pass, as in the authors' code.
    scale_init: what every scale starts from (0.5 in the paper); null leaves them as they are.
    init: the weights the network starts from, as in `training/from_scratch`.
    """

    training: TrainingConfig
    scale_l1: float
    scale_init: float | None
    init: str = AS_BUILT

    adds = frozenset({"trained"})
    refuses = frozenset({"int8"})

    def __post_init__(self) -> None:
        if not 0 <= self.scale_l1 < inf:
            raise out_of_range("scale_l1", self.scale_l1, "0 or more")
        if self.scale_init is not None and not 0 < self.scale_init < inf:
            raise out_of_range("scale_init", self.scale_init, "more than 0, or null")
        check_init(self.init)

    def fault_after(self, earlier: Sequence[Technique]) -> str | None:
        if self.init == AS_BUILT or not any("trained" in technique.adds for technique in earlier):
            return None
        return f"would draw new weights over trained ones: init is {self.init!r}; allowed here: {AS_BUILT!r}"

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError if the network has no batch normalisation with scales."""
        found = scales(subject.model)
        if not found:
            raise ValueError("the network has no BatchNorm2d, so there are no scales to make sparse")
        for name, norm in layers_of(subject.model, ["bn"]).items():
            if not _is_scaled(norm):
                subject.skipped.append(Skipped(name, "it is no BatchNorm2d with scales, so nothing pulls them to zero"))
        initialize(subject.model, self.init, context.generator)
        subject.enforce()
        if self.scale_init is not None:
            with torch.no_grad():
                for scale in found:
                    scale.fill_(self.scale_init)
        return context.train(subject, self.training, hooks=[Hook(after_backward=self._pull_to_zero)])

    def _pull_to_zero(self, model: nn.Module) -> None:
        for scale in scales(model):
            if scale.grad is not None:
                scale.grad.add_(scale.detach().sign(), alpha=self.scale_l1)


def scales(model: nn.Module) -> list[nn.Parameter]:
    """Return gamma of every BatchNorm2d."""
    return [module.weight for module in model.modules() if _is_scaled(module)]


def _is_scaled(module: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    return isinstance(module, nn.BatchNorm2d) and module.affine
