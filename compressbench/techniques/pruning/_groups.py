"""Filter groups: which channels of which modules belong to one filter, found by torch-pruning's dependency graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import lcm
from typing import TypeGuard

import torch
import torch_pruning
from torch import nn
from torch.nn.modules.conv import _ConvNd

from compressbench.core.task import Inputs, moved
from compressbench.layers.tensor_train import TensorTrainLinear
from compressbench.techniques._layers import WEIGHTED, is_convolution, kind_of, layers_of

_SAFE = ("CONV", "DEPTHWISE_CONV", "BN", "IN", "LINEAR", "PRELU", "CONCAT", "SPLIT", "SLICE", "RESHAPE", "ELEMENTWISE")
_ATTENTION = ("ScaledDotProduct", "Bmm", "Softmax")
_IMAGE_DIMENSIONS = 4  # height and width of the padding list of an image, before and after
_WHY = {
    "OUTPUT": "its filters are the outputs of the network",
    "LN": "a LayerNorm normalises its channels together, so a removed one would change the others",
    "GN": "a GroupNorm normalises its channels together, so a removed one would change the others",
    "ATTENTION": "attention multiplies its channels by others; pruning/heads removes whole heads",
    "PARAMETER": "a parameter outside any known kind of layer has its channels",
}


@dataclass(frozen=True)
class Place:
    """Where the channels of a group lie in one module.

    module: its name. side: `out` (what it computes; also both sides of a depthwise convolution or a batch norm) or
    `in` (what it reads). channels: (filter of the group, channel of the module) pairs.
    """

    module: str
    side: str
    channels: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Group:
    """Filters that can only be removed together: filter i of every member, wherever its channel goes.

    members: convolutions and linear layers whose outputs are added to each other (usually one alone). size: filters
    of each. blocks: as many filters must go from each of so many equal blocks (more than 1 beside grouped
    convolutions). obstacle: why the group cannot be pruned, or empty.
    """

    members: tuple[str, ...]
    size: int
    places: tuple[Place, ...]
    blocks: int = 1
    obstacle: str = ""


class Graph:
    """The dependencies of a network, traced once. Modules keep their mode, parameters their `requires_grad`.

    Raises ValueError if the network cannot be traced, or has a tensor train: the library follows channels through its
    cores for hours, in gigabytes.
    """

    def __init__(self, model: nn.Module, example: Inputs):
        trains = [name for name, module in model.named_modules() if isinstance(module, TensorTrainLinear)]
        if trains:
            raise ValueError(
                f"{trains[0]} is a tensor train, through which channels cannot be followed; prune filters before "
                "lowrank/tensor_train, or mask weights"
            )
        self._model = model
        self._modules = dict(model.named_modules())
        self._names: dict[nn.Module, str] = {module: name for name, module in self._modules.items()}
        inputs = moved(example, next(model.parameters()).device)
        graph = torch_pruning.DependencyGraph()
        with evaluating(model), every_gradient(model):
            try:
                self._graph = graph.build_dependency(model, inputs, verbose=False)
            except Exception as error:  # whatever the network or the library raises
                raise ValueError(
                    f"torch-pruning cannot follow the channels of {type(model).__name__} ({error}); "
                    "its filters cannot be removed, only its weights masked"
                ) from error

    def groups(self, names: list[str]) -> list[Group]:
        """Return the groups of these layers, each once, in order. Depthwise convolutions have no group of their own."""
        found: list[Group] = []
        for name in names:
            if not self.follows(name) and not any(name in group.members for group in found):
                found.append(self._group(name))
        return found

    def follows(self, name: str) -> bool:
        """Return whether the layer is a depthwise convolution: its filters belong to the layer before it."""
        return _is_depthwise(self._modules.get(name))

    def convolution_before(self, norm: str) -> str | None:
        """Return the name of the convolution whose output this batch norm reads directly, or None."""
        node = self._graph.module2node.get(self._model.get_submodule(norm))
        before = [source.module for source in node.inputs] if node else []
        if len(before) != 1 or not is_convolution(before[0]):
            return None
        return self._names[before[0]]

    def norm_after(self, layer: str) -> str | None:
        """Return the name of the batch norm that alone reads this layer, directly, or None."""
        node = self._graph.module2node.get(self._model.get_submodule(layer))
        after = [reader.module for reader in node.outputs] if node else []
        return self._names[after[0]] if len(after) == 1 and kind_of(after[0]) == "bn" else None

    def kind(self, name: str) -> str | None:
        """Return which of `KINDS` a module is."""
        return kind_of(self._modules[name])

    def between(self, name: str, reader: str) -> list[str]:
        """Return what the outputs of a module go through, one after the other, until `reader` has them (`Relu`)."""
        node, found = self._graph.module2node[self._modules[name]], list[str]()
        while len(node.outputs) == 1 and node.outputs[0].module is not self._modules[reader]:
            node = node.outputs[0]
            found.append(type(node.grad_fn).__name__.partition("Backward")[0])
        return found

    def _group(self, root: str) -> Group:
        layer = self._model.get_submodule(root)
        size = layer.get_parameter("weight").shape[0]
        if layer not in self._graph.module2node:
            return Group((root,), size, (), obstacle="the network never calls it, or detaches its output")
        pruner = self._graph.get_pruner_of_module(layer)
        traced = self._graph.get_pruning_group(layer, pruner.prune_out_channels, list(range(size)))
        obstacle, places, blocks = "", [], 1
        for item in traced.items:
            side = "out" if self._graph.is_out_channel_pruning_fn(item.dep.handler) else "in"
            obstacle = obstacle or _obstacle(item.dep.target, side)
            module = item.dep.target.module
            if module not in self._names:
                continue  # an operation such as an addition, which holds no channels
            place = Place(self._names[module], side, tuple(zip(item.root_idxs, item.idxs, strict=True)))
            obstacle = obstacle or _partial(place, module, size)
            places.append(place)
            if is_grouped(module):
                blocks = lcm(blocks, module.groups)
        if any(type(item.dep.target.grad_fn).__name__.startswith(_ATTENTION) for item in traced.items):
            obstacle = obstacle or _WHY["ATTENTION"]
        layers = layers_of(self._model)
        members = [p.module for p in places if p.side == "out" and p.module in layers and not self.follows(p.module)]
        ordered = tuple(sorted(members, key=list(layers).index))
        return Group(ordered, size, tuple(places), blocks, obstacle)


def _obstacle(node: torch_pruning.Node, side: str) -> str:
    """Return why channels cannot be removed through this operation, or nothing."""
    kind = node.type.name
    if side == "out" and not node.outputs:
        return _WHY["OUTPUT"]
    if kind not in _SAFE:
        name = node.name.partition(" (")[0]  # the rest is the module in many lines
        return _WHY.get(kind, f"its channels go through {name}, whose channels cannot be removed")
    gradient = node.grad_fn
    padding = getattr(gradient, "_saved_pad", ())
    if any(padding[_IMAGE_DIMENSIONS:]):
        return "channels of zeros are put beside its own, as by a shortcut without parameters"
    if kind == "CONCAT" and any(source is None for source, _ in gradient.next_functions):
        return "its channels are concatenated with something no layer computes"
    if kind == "RESHAPE" and len(getattr(gradient, "_saved_self_sym_sizes", ())) > _IMAGE_DIMENSIONS:
        return "a reshape mixes its channels"
    return ""


def _partial(place: Place, module: nn.Module, size: int) -> str:
    """Return why this place does not hold every filter of the group, one to one, where it must, or nothing."""
    owns = place.side == "out" and kind_of(module) in WEIGHTED
    if owns and len(place.channels) != module.get_parameter("weight").shape[0]:
        return f"its channels meet only some of those of {place.module}"
    if (owns or is_grouped(module)) and any(number != channel for number, channel in place.channels):
        return f"its channels reach {place.module} in another order"
    if is_grouped(module) and place.side == "in" and len(place.channels) != module.in_channels:
        return f"its channels are only some of those {place.module} reads"
    return f"{place.module} has another number of channels" if owns and len(place.channels) != size else ""


def is_grouped(module: nn.Module) -> TypeGuard[_ConvNd]:
    """Return whether the module is a convolution in several groups, but not depthwise."""
    return is_convolution(module) and module.groups > 1 and not _is_depthwise(module)


def _is_depthwise(module: nn.Module | None) -> bool:
    return module is not None and is_convolution(module) and module.groups == module.out_channels > 1


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode, and every module back into its own afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def every_gradient(model: nn.Module) -> Iterator[None]:
    """Let autograd, and so the tracing, see every layer, frozen ones too."""
    wanted = {parameter: parameter.requires_grad for parameter in model.parameters()}
    model.requires_grad_(True)
    try:
        with torch.enable_grad():
            yield
    finally:
        for parameter, requires in wanted.items():
            parameter.requires_grad_(requires)
