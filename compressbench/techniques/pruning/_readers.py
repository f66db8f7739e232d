"""What reads the filters of a group: the weights that a filter takes with it in the layers behind."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compressbench.techniques._layers import WEIGHTED, kind_of
from compressbench.techniques.pruning._groups import Group, is_grouped


@dataclass(frozen=True)
class Reader:
    """A layer that reads a group. owner: (columns,), the filter that a column of `weight.flatten(1)` belongs to, -1 for
    columns of other groups."""

    name: str
    owner: Tensor


def readers(model: nn.Module, group: Group) -> list[Reader] | None:
    """Return the layers that read the group's filters; None if one is a convolution in groups: its columns are
    several channels' at once."""
    found = []
    for place in group.places:
        module = model.get_submodule(place.module)
        if place.side != "in" or kind_of(module) not in WEIGHTED:
            continue
        if is_grouped(module):
            return None
        weight = module.get_parameter("weight")
        owner = torch.full((weight.shape[1],), -1, dtype=torch.int64, device=weight.device)
        filters, channels = torch.tensor(place.channels).T.to(weight.device)
        owner[channels] = filters
        found.append(Reader(place.module, owner.repeat_interleave(weight[0, 0].numel())))
    return found


def sums_by_filter(values: Tensor, owner: Tensor, filters: int) -> Tensor:
    """Return, for each of so many filters, the sum of the values (columns,) that it owns, where the values lie."""
    owner = owner.to(values.device)  # found before the network went where it is trained
    places = owner.remainder(filters + 1)  # those of others behind the last filter
    return values.new_zeros(filters + 1).index_add_(0, places, values)[:filters]
