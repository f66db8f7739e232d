"""Physical removal of channels, and its proof."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch_pruning
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from compressbench.core.task import Inputs, feed, moved, random_like
from compressbench.techniques.pruning._groups import Group, evaluating, is_grouped

Removal = dict[tuple[str, str], list[int]]
"""Channels to remove, sorted, by name of the module and side (`out`, `in`)."""


def removal(chosen: Iterable[tuple[Group, set[int]]]) -> Removal:
    """Return what has to go from every module when these filters of these groups go."""
    found: dict[tuple[str, str], set[int]] = {}
    for group, filters in chosen:
        for place in group.places:
            gone = {channel for number, channel in place.channels if number in filters}
            found.setdefault((place.module, place.side), set()).update(gone)
    return {where: sorted(channels) for where, channels in found.items() if channels}


@torch.no_grad()
def remove(model: nn.Module, channels: Removal, example: Inputs) -> None:
    """Remove the channels in place. Modes, `requires_grad` and everything else stay as they are.

    Raises ValueError if the smaller network does not compute what the original does when nothing reads the removed
    channels: then the graph has not understood this architecture, and the model must not be used.
    """
    with proven(model, _unread(model, channels), example):
        _remove(model, channels)


@contextmanager
def proven(model: nn.Module, twin: nn.Module, example: Inputs) -> Iterator[None]:
    """Check that the model computes afterwards what its twin does, on made-up inputs. ValueError if not."""
    inputs = moved(random_like(example, 2, torch.Generator().manual_seed(0)), next(model.parameters()).device)
    with torch.no_grad():
        expected = _outputs(twin, inputs)
        yield
        found = _outputs(model, inputs)
    if found.shape != expected.shape or _apart(found, expected):
        raise ValueError(f"removing filters changes what {type(model).__name__} computes; name its layers in ignore")


def _remove(model: nn.Module, channels: Removal) -> None:
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    graph = torch_pruning.DependencyGraph()
    for (name, side), gone in channels.items():
        module = model.get_submodule(name)
        if side == "in" and is_grouped(module):
            _remove_grouped_inputs(module, gone)
            continue
        pruner = graph.get_pruner_of_module(module)
        (pruner.prune_out_channels if side == "out" else pruner.prune_in_channels)(module, gone)
    for name in frozen:
        model.get_parameter(name).requires_grad_(False)


def _unread(model: nn.Module, channels: Removal) -> nn.Module:
    """Return a copy of the model in which no layer reads the channels."""
    twin = copy.deepcopy(model)
    for (name, side), gone in channels.items():
        module = twin.get_submodule(name)
        if side == "out":
            continue
        weight = module.get_parameter("weight")
        share = weight.shape[1]  # inputs of one group; all of them without groups
        rows = weight.shape[0] // (module.groups if is_grouped(module) else 1)
        for channel in gone:
            block = channel // share
            weight[block * rows : (block + 1) * rows, channel % share] = 0
    return twin


def _remove_grouped_inputs(conv: _ConvNd, gone: list[int]) -> None:
    """Remove inputs of a grouped convolution, as many from each group, at places that may differ between groups."""
    share, groups = conv.weight.shape[1], conv.groups
    removed = set(gone)
    kept = [[i for i in range(share) if block * share + i not in removed] for block in range(groups)]
    blocks = [part[:, kept[block]] for block, part in enumerate(conv.weight.chunk(groups))]
    conv.weight = nn.Parameter(torch.cat(blocks))
    conv.in_channels -= len(gone)


def _apart(found: Tensor, expected: Tensor) -> bool:
    """Return whether the outputs differ by more than rounding; unknown, so False, where they are not finite."""
    differ = (found - expected).abs().max() > 1e-3 * expected.abs().max()
    return bool(expected.isfinite().all() and differ)


def _outputs(model: nn.Module, inputs: Inputs) -> Tensor:
    network = type(model).__name__
    with evaluating(model):
        try:
            outputs = feed(model, inputs)
        except Exception as error:  # whatever a network raises
            raise ValueError(f"removing filters breaks {network}: {error}; name its layers in ignore") from error
    if not isinstance(outputs, Tensor):
        raise ValueError(f"{network} returns a {type(outputs).__name__}, not a tensor; its filters cannot be removed")
    return outputs
