"""Channels with the smallest batch-norm scale go, by one threshold for the whole network (Liu et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import leave_out, names_in, select
from compressbench.techniques.pruning._groups import Graph, Group
from compressbench.techniques.pruning._structured import check_round_to, finish, prunable, weakest


@dataclass(frozen=True)
class NetworkSlimming(Technique):
    """Remove the channels whose |gamma| is at most the threshold: the int(N ratio)-th smallest, from 0, of all N.

    Source: Liu et al. 2017, "Learning Efficient Convolutional Networks through Network Slimming", and its code: a
    channel stays if its |gamma| is more than the threshold, so N - int(N ratio) - 1 stay (691 of 1152 at 0.4). The
    training that makes the scales sparse comes before (`training/sparsity_training`).

    ratio: fraction of channels removed, 0 or more and less than 1; 0 removes none. targets: batch norms; those that
    do not follow a convolution are left out. ignore: batch norms whose channels all stay. round_to: channels that
    stay in a layer are rounded up to a multiple; 1 is off.

    We differ: at least one channel of every layer stays; layers whose outputs are added are pruned together, by the
    sum of their scales (the paper selects channels in front of a block instead); scales behind depthwise convolutions
    do not count, as their channels go with those they read.
    """

    ratio: float
    targets: list[str]
    ignore: list[str]
    round_to: int

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"filters_removed"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})
    predictable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.ratio < 1:
            raise out_of_range("ratio", self.ratio, "0 or more and less than 1")
        check_round_to(self.round_to)

    def apply(self, subject: Subject, context: Context) -> Subject:
        model, skipped = subject.model, subject.skipped
        graph = Graph(model, context.example)
        before = self._convolutions(model, graph, skipped)
        exact = [before[name] for name in names_in(self.targets) if name in before]
        groups = prunable(graph, before.values(), exact, skipped)
        scales = [_scales(model, group, before) for group in groups]
        threshold = _threshold(scales, self.ratio)
        chosen = []
        for group, scale in zip(groups, scales, strict=True):
            kept = int((scale > threshold).sum())
            chosen.append((group, weakest(scale, kept, group, self.round_to, skipped)))
        return finish(subject, context, chosen)

    def _convolutions(self, model: nn.Module, graph: Graph, skipped: list[Skipped]) -> dict[str, str]:
        """Return, by name of each selected batch norm, the convolution it follows."""
        found = {}
        for norm, module in select(model, self.targets, self.ignore, kinds=("bn",)).items():
            convolution = graph.convolution_before(norm)
            if convolution is None:
                why = "it does not follow a convolution directly"
            elif not module.affine:
                why = "it has no scale factors"
            else:
                found[norm] = convolution
                continue
            leave_out(skipped, norm, self.targets, "cannot be removed", why)
        if not found:
            raise ValueError(f"targets {self.targets} select no batch norm that follows a convolution")
        return found


def _scales(model: nn.Module, group: Group, before: dict[str, str]) -> Tensor:
    """Return the sum of |gamma| over the group's batch norms, (filters,)."""
    norms = [norm for norm, convolution in before.items() if convolution in group.members]
    return torch.stack([model.get_submodule(norm).get_parameter("weight").detach().abs() for norm in norms]).sum(0)


def _threshold(scales: list[Tensor], ratio: float) -> float:
    """Return what a channel's scale must exceed to stay."""
    if ratio == 0 or not scales:
        return -1.0
    every = torch.cat(scales)
    return float(every.sort().values[int(len(every) * Fraction(str(ratio)))])
