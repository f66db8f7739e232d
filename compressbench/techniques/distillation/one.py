"""A network learns beside branches of itself, from all of them together (Lan et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import exp
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.objective import Objective, Seen
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.distillation._branches import Branch
from compressbench.techniques.distillation._distilled import distilled
from compressbench.techniques.distillation._features import drawn
from compressbench.techniques.distillation._softened import check_temperature, check_weights, divergence


class Ensemble(nn.Module):
    """The other branches, and the gate: softmax(ReLU(batch norm(fc(features, averaged over all places))))."""

    def __init__(self, branches: list[Branch], channels: int, generator: torch.Generator):
        super().__init__()
        self.branches = nn.ModuleList(branches)
        linear = drawn(lambda: nn.Linear(channels, len(branches) + 1), generator)
        self.gate = nn.Sequential(linear, nn.BatchNorm1d(len(branches) + 1), nn.ReLU())

    def forward(self, features: Tensor, first: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the logits of every branch, `first` those of the network's own, and the gate's sum of them."""
        logits = [first, *(branch(features).float() for branch in self.branches)]
        pooled = features.flatten(2).mean(2) if features.dim() > 2 else features
        weights = self.gate(pooled).float().softmax(1)
        together = torch.stack(logits, 1) * weights[:, :, None]
        return logits, together.sum(1)


@dataclass(frozen=True)
class OnTheFlyNativeEnsemble(Technique):
    """ONE: train with copies of the network's last part, each of which learns from the gated sum of all. No teacher.

    Source: Lan et al. 2018, "Knowledge Distillation by On-the-Fly Native Ensemble", section 3, equations 3 to 7. The
    loss is the sum of L over the branches and over their gated sum z, and w T^2 KL(softmax(z / T) || softmax(z_i / T))
    over the branches, where z counts as a constant. The network's own branch stays; gate and copies are thrown away.

    training: how it is trained; null only below `distill`. shared: the last module that the branches share; what comes
    after it must hang on its results alone. branches: how many there are, the network's own among them, 2 or more; the
    paper has 3. temperature: T; 3 in the paper. weight: of the divergence, once it has risen. ramp_up: the fraction of
    the training over which it rises, by e^(-5 (1 - t)^2); 80 of the paper's 300 epochs; 0: from the beginning.

    We differ: the copies start from torch's initialisation, whatever the network's own is.
    """

    shared: str
    branches: int
    temperature: float
    weight: float
    ramp_up: float
    training: TrainingConfig | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"int8"})

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        check_weights(weight=self.weight)
        if self.branches < 2:
            raise out_of_range("branches", self.branches, "2 or more")
        if not 0 <= self.ramp_up <= 1:
            raise out_of_range("ramp_up", self.ramp_up, "0 to 1")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError as `objective` does."""
        return distilled(self, subject, context)

    def objective(self, subject: Subject, context: Context) -> Objective:
        """Raises ValueError if no branch can begin after `shared`."""
        inputs, _ = next(context.calibration(2, 1))
        copies = [
            Branch(subject.model, self.shared, inputs, context.generator).train() for _ in range(self.branches - 1)
        ]
        channels: list[int] = []
        handle = subject.model.get_submodule(self.shared).register_forward_hook(
            lambda module, given, output: channels.append(output.shape[1])
        )
        with torch.no_grad():
            subject.model.eval()(*(inputs if isinstance(inputs, tuple) else (inputs,)))
        handle.remove()
        ensemble = Ensemble(copies, channels[0], context.generator)
        return Objective(partial(self.loss, ensemble), (self.shared,), learned=ensemble)

    def loss(self, ensemble: nn.Module, seen: Seen) -> Tensor:
        """Return the loss of a batch."""
        logits, together = ensemble(seen.features[self.shared], seen.outputs)
        weight = self.weight * rise(seen.done, self.ramp_up) * self.temperature**2
        total = seen.task_loss(together)
        for each in logits:
            total = total + seen.task_loss(each)
            total = total + weight * divergence(each, together.detach(), self.temperature)
        return total


def rise(done: float, ramp_up: float) -> float:
    """Return the part of its weight that the divergence has after a fraction of the training."""
    return exp(-5 * (1 - done / ramp_up) ** 2) if done < ramp_up else 1.0
