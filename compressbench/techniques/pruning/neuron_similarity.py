"""Neurons whose weights are most alike are merged, without data (Srinivas and Babu 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import torch
from torch import Tensor

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import check_ratios, leave_out, names_in, value_by_layer
from compressbench.techniques.pruning._groups import Graph, Group
from compressbench.techniques.pruning._structured import finish, prunable, share

BINS = 1000
"""Of the histogram whose highest bin is the data-free cut-off."""


@dataclass(frozen=True)
class NeuronSimilarity(Technique):
    """Remove neuron j of a fully connected layer and let the neuron i that is most like it speak for both.

    Source: Srinivas and Babu 2015, "Data-free parameter pruning for Deep Neural Networks", sections 3.2 to 3.6. Of
    neurons with weights W_i (and bias), read by columns a_i of the next layer, the pair with the smallest saliency
    mean(a_j^2) ||W_i - W_j||^2 is merged: a_i becomes a_i + a_j, j goes, the saliencies of i are computed again.
    Neurons that are equal change nothing. No data, and no retraining in the paper.

    targets, ignore: which layers lose neurons, in order; those that are no linear layer, or that the next linear layer
    does not read through ReLU alone, are left out. ratio: fraction of the neurons removed, 0 or more and less than 1;
    floor(n (1 - ratio)) stay. None: pairs are merged until the smallest saliency is above the paper's data-free
    cut-off, the mode of the saliencies of all pairs at the start. ratios: other ratios for some layers.

    We differ: the paper reads the mode off a plotted histogram; here it is the middle of the fullest of 1000 bins
    between 0 and the median, above which only the tail lies. Dropout between two layers is no obstacle.
    """

    targets: list[str]
    ratio: float | None
    ratios: dict[str, float]
    ignore: list[str]

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"filters_removed"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})
    predictable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_ratios(0.0 if self.ratio is None else self.ratio, self.ratios)

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError for a layer that is named exactly and cannot lose neurons in this way."""
        wanted = value_by_layer(subject.model, self.targets, self.ignore, self.ratio, self.ratios, "ratios")
        exact = names_in([*self.targets, *self.ratios])
        for name, ratio in wanted.items():
            graph = Graph(subject.model, context.example)
            fault = fault_of(graph, name)
            if fault:
                leave_out(subject.skipped, name, exact, "cannot have its neurons merged", fault)
                continue
            (group,) = prunable(graph, [name], exact, subject.skipped)
            subject = finish(subject, context, [(group, merge_neurons(subject, group, ratio))])
        return subject


def fault_of(graph: Graph, name: str) -> str:
    """Return why the neurons of a layer cannot be merged, or nothing."""
    (group,) = graph.groups([name]) or [Group((name,), 0, (), obstacle="it is a depthwise convolution")]
    if group.obstacle:
        return group.obstacle
    if graph.kind(name) != "linear":
        return "it is no linear layer"
    if len(group.members) > 1:
        return f"its outputs are added to those of {', '.join(each for each in group.members if each != name)}"
    readers = [place.module for place in group.places if place.module != name]
    if len(readers) != 1 or graph.kind(readers[0]) != "linear":
        return f"it is read by {', '.join(readers)}, not by one linear layer alone"
    between = graph.between(name, readers[0])
    return "" if between == ["Relu"] else f"{readers[0]} reads it through {', '.join(between) or 'nothing'}, not ReLU"


@torch.no_grad()
def merge_neurons(subject: Subject, group: Group, ratio: float | None) -> set[int]:
    """Merge neurons of a layer, in place in the layer that reads them; return those that nothing needs any more."""
    (reader,) = (place.module for place in group.places if place.side == "in")
    layer, columns = subject.model.get_submodule(group.members[0]), subject.model.get_submodule(reader)
    rows = torch.cat([each.detach().flatten(1) if each.dim() > 1 else each[:, None] for each in layer.parameters()], 1)
    read = columns.get_parameter("weight")
    distances = pair_distances(rows)
    most = group.size - (1 if ratio is None else max(1, int(share(group.size, ratio))))
    limit = inf if ratio is not None else cut_off(distances * read.double().square().mean(0))
    pairs = merged_pairs(distances, read.double().clone(), most, limit)
    for stays, goes in pairs:
        read[:, stays] += read[:, goes]
    return {goes for _, goes in pairs}


def pair_distances(rows: Tensor) -> Tensor:
    """Return ||W_i - W_j||^2 of all pairs of rows, (n, n) in float64; infinite on the diagonal."""
    distances = torch.cdist(rows.double(), rows.double()).square()
    return distances.fill_diagonal_(inf)


def merged_pairs(distances: Tensor, read: Tensor, most: int, limit: float) -> list[tuple[int, int]]:
    """Return (neuron that stays, neuron that goes), in order: at most so many, none of a saliency above the limit.

    distances: as `pair_distances`; overwritten. read: the columns that read each neuron, (m, n); overwritten.
    """
    nearest, partner = distances.min(0)
    weights, pairs = read.square().mean(0), list[tuple[int, int]]()
    while len(pairs) < most:
        saliency, goes = (weights * nearest).nan_to_num(nan=inf).min(0)  # 0 times the infinity of one that is gone
        if not float(saliency) <= limit:
            break
        j, i = int(goes), int(partner[goes])
        pairs.append((i, j))
        read[:, i] += read[:, j]
        weights[i] = read[:, i].square().mean()
        distances[j, :], distances[:, j] = inf, inf
        lonely = partner == j
        nearest[lonely], partner[lonely] = distances[:, lonely].min(0)
        nearest[j] = inf
    return pairs


def cut_off(saliencies: Tensor) -> float:
    """Return the mode of the saliencies of all pairs: the middle of the fullest bin below their median."""
    found = saliencies[saliencies.isfinite()]
    top = float(found.median()) if len(found) else 0.0
    if top <= 0:
        return 0.0
    counts = torch.histc(found[found <= top].float(), BINS, 0, top)
    return top * (int(counts.argmax()) + 0.5) / BINS
