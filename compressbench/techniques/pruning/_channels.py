"""Channels chosen so that the layers that read them put out what they did.

What a layer puts out is the sum of its channels' contributions. How well some of them stand for all hangs on the inner
products of contributions alone, over every calibration example, place and output: a Gram matrix, which follows from
the layer's weights W and the sums H of s s^T over its inputs, as blocks of (W^T W) * H.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.subject import Skipped, Subject
from compressbench.techniques._layer_sums import LayerSums, layer_sums, obstacle
from compressbench.techniques._layers import names_in
from compressbench.techniques.pruning._groups import Graph, Group, evaluating
from compressbench.techniques.pruning._readers import Reader, readers, sums_by_filter
from compressbench.techniques.pruning._structured import ByRatio, asked, finish, weakest

DAMPING = 1e-3
"""How much staying near the weights counts beside the outputs, by the mean square of what they are multiplied with, so
that nothing hangs on roundings where examples are few or channels alike."""


class Read(NamedTuple):
    """What a reader makes of a group's channels.

    weight: (rows, columns), float64. owner: the filter of each column, -1 for others' columns. inputs: sum of s s^T,
    products: sum of s o^T, o the outputs that are wanted; float64.
    """

    weight: Tensor
    owner: Tensor
    inputs: Tensor
    products: Tensor


class Contributions(NamedTuple):
    """gram: inner products of channels' contributions, (filters, filters). wanted: those with what the outputs should
    be but for other groups' channels, (filters,). norms: of the weights that read each channel, (filters,).
    """

    gram: Tensor
    wanted: Tensor
    norms: Tensor


class ByReaders(ByRatio, Protocol):
    """The fields of a technique that chooses channels by what reads them. examples: training examples to look at."""

    @property
    def examples(self) -> int: ...


Choose = Callable[[Contributions, int], Tensor]
"""From the contributions, of all readers together, and how many filters stay, to scores; the smallest go."""
Refit = Callable[[Read, Tensor], Tensor]
"""From what a reader reads and which filters stay, (filters,), to its new weights, (rows, columns)."""


def prune_by_readers(
    subject: Subject, context: Context, fields: ByReaders, choose: Choose, refit: Refit, towards_original: bool
) -> Subject:
    """Remove filters, group after group in the order of definition, and refit the layers that read them.

    Inputs come through the groups pruned so far. towards_original: the wanted outputs are those of the network as it
    was, else of the network so far. Groups that a reader has no sums for are reported. Raises ValueError as `asked`
    does, and for such a group if a selector names it exactly.
    """
    model, chosen = subject.model, list[tuple[Group, set[int]]]()
    original = copy.deepcopy(model).eval() if towards_original else None
    groups = asked(subject, Graph(model, context.example), fields)
    with context.progress.task("channels", len(groups)) as advance, torch.no_grad(), evaluating(model):
        for group, stay in groups:
            found = readers(model, group)
            if found is None or (why := _obstacle(model, found)):
                why = "a convolution in groups reads its channels" if found is None else why
                if set(group.members) & names_in(fields.targets):
                    raise ValueError(f"the filters of {', '.join(group.members)} cannot be chosen: {why}")
                subject.skipped.append(Skipped(", ".join(group.members), why))
                continue
            reads = [_read(model, reader, context, fields.examples, original) for reader in found]
            scores = choose(_together([contributions(read, group.size) for read in reads]), int(stay))
            gone = weakest(scores, int(stay), group, fields.round_to, subject.skipped)
            stays = torch.ones(group.size, dtype=torch.bool, device=reads[0].owner.device)
            stays[list(gone)] = False
            for reader, read in zip(found, reads, strict=True):
                weight = model.get_submodule(reader.name).get_parameter("weight")
                weight.copy_(refit(read, stays).reshape(weight.shape))
            chosen.append((group, gone))
            advance(1, group.members[0])
    return finish(subject, context, chosen)


def _obstacle(model: nn.Module, found: list[Reader]) -> str:
    if not found:
        return "no layer with weights reads its channels"
    whys = ((reader.name, obstacle(model.get_submodule(reader.name))) for reader in found)
    return next((f"{name} reads its channels, and {why}" for name, why in whys if why), "")


def _read(model: nn.Module, reader: Reader, context: Context, examples: int, original: nn.Module | None) -> Read:
    sums: LayerSums = layer_sums(model, reader.name, context, examples, original)
    weight = model.get_submodule(reader.name).get_parameter("weight").detach().flatten(1)
    return Read(weight.double(), reader.owner, sums.inputs[0].double(), sums.products[0].double())


def contributions(read: Read, filters: int) -> Contributions:
    """Return what the channels contribute to one reader's outputs."""
    products = (read.weight.T @ read.weight) * read.inputs
    mine = read.owner >= 0
    wanted = (read.weight * read.products.T).sum(0) - products[:, ~mine].sum(1)
    places = torch.nn.functional.one_hot(read.owner[mine], filters).double()
    gram = places.T @ products[mine][:, mine] @ places
    squares = sums_by_filter(read.weight.square().sum(0), read.owner, filters)
    return Contributions(gram, sums_by_filter(wanted, read.owner, filters), squares.sqrt())


def _together(several: list[Contributions]) -> Contributions:
    gram, wanted = (torch.stack(parts).sum(0) for parts in list(zip(*several, strict=True))[:2])
    norms = torch.stack([each.norms for each in several])
    return Contributions(gram, wanted, torch.linalg.vector_norm(norms, dim=0))


def columns_that_stay(read: Read, stays: Tensor) -> Tensor:
    """Return which columns stay, boolean, others' too."""
    return (read.owner < 0) | stays[read.owner]


def drop(read: Read, stays: Tensor) -> Tensor:
    """Return the weights with zeros for the channels that go."""
    return read.weight * columns_that_stay(read, stays)


def damped(matrix: Tensor) -> tuple[Tensor, float]:
    """Return a matrix of inner products with DAMPING of its mean diagonal on it, and how much that is."""
    amount = DAMPING * float(matrix.diagonal().mean()) or 1.0  # where all is zero, nothing should change
    return matrix + amount * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device), amount
