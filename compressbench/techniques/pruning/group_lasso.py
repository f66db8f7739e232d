"""A penalty on whole filters and channels pulls them to zero while training; what is there goes (Wen et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.objective import Hook
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._layers import select
from compressbench.techniques.pruning._groups import Graph, Group
from compressbench.techniques.pruning._readers import Reader, readers, sums_by_filter
from compressbench.techniques.pruning._structured import check_round_to, finish, prunable, weakest

Read = list[tuple[Group, list[Reader] | None]]


@dataclass(frozen=True)
class GroupLassoPruning(Technique):
    """Train with a penalty on the norms of filters and of the channels that are read, and remove those near zero.

    Source: Wen et al. 2016, "Learning Structured Sparsity in Deep Neural Networks", equations 1 to 3: filter_penalty
    times the sum of the filters' L2 norms, and channel_penalty times that of the input channels' in the layers that
    read them. As in the authors' code its subgradient, penalty * w / norm, is added after the backward pass. The
    network may be trained already, as in the paper, or not.

    training: the training; some without the penalty, `training/finetune`, belongs behind. targets, ignore: whose
    filters are pulled and pruned, and whose not. filter_penalty, channel_penalty: 0 or more; 0 is off. threshold: a
    filter goes if its norm, or that of its channel where it is read, is at most this fraction of the largest in its
    layer; 0 to 1. round_to: filters that stay are rounded up to a multiple; 1 is off.

    We differ: layers whose outputs are added have filters, and readers channels, with one norm in common, as they can
    only go together; the threshold is relative; at least one filter stays; shapes of filters and whole layers, the
    paper's other groups, are not pulled. Channels that a convolution in groups reads are not pulled either.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    filter_penalty: float
    channel_penalty: float
    threshold: float
    round_to: int

    adds: ClassVar[frozenset[str]] = frozenset({"trained", "filters_removed"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})
    predictable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for key in ("filter_penalty", "channel_penalty"):
            if not 0 <= getattr(self, key) < inf:
                raise out_of_range(key, getattr(self, key), "0 or more")
        if not 0 <= self.threshold <= 1:
            raise out_of_range("threshold", self.threshold, "a fraction from 0 to 1")
        check_round_to(self.round_to)

    def apply(self, subject: Subject, context: Context) -> Subject:
        model, skipped = subject.model, subject.skipped
        names = select(model, self.targets, self.ignore)
        groups = prunable(Graph(model, context.example), names, [*self.targets, *self.ignore], skipped)
        read: Read = [(group, readers(model, group)) for group in groups]
        for group in (group for group, found in read if found is None and self.channel_penalty):
            why = "a convolution in groups reads its channels; only its filters are pulled to zero"
            skipped.append(Skipped(", ".join(group.members), why))

        def pull(model: nn.Module) -> None:
            pull_to_zero(model, read, self.filter_penalty, self.channel_penalty)

        subject = context.train(subject, self.training, hooks=[Hook(after_backward=pull)])
        chosen = []
        for group, found in read:
            sizes = relative_norms(subject.model, group, found)
            kept = int((sizes > self.threshold).sum())
            chosen.append((group, weakest(sizes, kept, group, self.round_to, skipped)))
        return finish(subject, context, chosen)


@torch.no_grad()
def pull_to_zero(model: nn.Module, read: Read, filter_penalty: float, channel_penalty: float) -> None:
    """Add penalty * w / norm to the gradient of every weight of these filters and channels."""
    for group, found in read:
        if filter_penalty:
            norms = filter_norms(model, group)
            for name in group.members:
                weight = model.get_submodule(name).get_parameter("weight")
                _add(weight, norms[:, None].expand(-1, weight[0].numel()), filter_penalty)
        if channel_penalty and found:
            norms = channel_norms(model, group, found)
            for reader in found:
                weight = model.get_submodule(reader.name).get_parameter("weight")
                owner = reader.owner.to(weight.device)
                column_norms = torch.where(owner >= 0, norms[owner], 0)
                _add(weight, column_norms.expand(len(weight), -1), channel_penalty)


def _add(weight: nn.Parameter, norms: Tensor, penalty: float) -> None:
    """norms: of the group of each weight, (rows, columns); weights with a norm of zero stay where they are."""
    if weight.grad is not None:
        direction = torch.where(norms > 0, weight.flatten(1) / norms, 0)
        weight.grad.add_(direction.reshape(weight.shape), alpha=penalty)


def filter_norms(model: nn.Module, group: Group) -> Tensor:
    """Return the L2 norm of each filter over all members, (filters,)."""
    weights = [model.get_submodule(name).get_parameter("weight").detach() for name in group.members]
    squares: Tensor = torch.stack([weight.flatten(1).square().sum(1) for weight in weights]).sum(0)
    return squares.sqrt()


def channel_norms(model: nn.Module, group: Group, found: list[Reader]) -> Tensor:
    """Return the L2 norm over all readers of what reads each filter, (filters,)."""
    squares = []
    for reader in found:
        weight = model.get_submodule(reader.name).get_parameter("weight").detach()
        squares.append(sums_by_filter(weight.flatten(1).square().sum(0), reader.owner, group.size))
    total: Tensor = torch.stack(squares).sum(0)
    return total.sqrt()


def relative_norms(model: nn.Module, group: Group, found: list[Reader] | None) -> Tensor:
    """Return the smaller of each filter's two norms, of itself and where it is read, as a fraction of the largest."""
    norms = [filter_norms(model, group), *([channel_norms(model, group, found)] if found else [])]
    tiny = torch.finfo(norms[0].dtype).tiny
    return torch.stack([each / each.max().clamp_min(tiny) for each in norms]).amin(0)
