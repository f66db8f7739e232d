"""The features that the last linear layer of a network reads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compressbench.core.errors import suggestion
from compressbench.core.task import Inputs, feed, moved
from compressbench.techniques._layers import layers_of


@torch.no_grad()
def penultimate(model: nn.Module, example: Inputs, layer: str | None, key: str) -> tuple[str, int]:
    """Return the name of a module and how many numbers it gives an example: `layer`, or, if that is None, the one whose
    outputs the last linear layer reads, flattened or not. key: what people call `layer`.

    ValueError for a name that is not there, or if nothing can be found.
    """
    modules, linear = dict(model.named_modules()), list(layers_of(model, ["linear"]))
    if layer is not None and layer not in modules:
        raise ValueError(f"{key} is {layer!r}, which {type(model).__name__} lacks; {suggestion(layer, list(modules))}")
    given: dict[str, Tensor] = {}
    read: list[Tensor] = []

    def keep(name: str) -> Any:
        return lambda module, inputs, output: given.update({name: output} if isinstance(output, Tensor) else {})

    handles = [each.register_forward_hook(keep(name)) for name, each in modules.items() if name]
    if linear:
        handles.append(modules[linear[-1]].register_forward_pre_hook(lambda module, inputs: read.append(inputs[0])))
    modes = [(module, module.training) for module in model.modules()]
    feed(model.eval(), moved(example, next(model.parameters()).device))
    for module, mode in modes:
        module.training = mode
    for handle in handles:
        handle.remove()
    found = [name for name in given if read and _same(given[name], read[-1])]
    chosen = layer if layer is not None else found[-1] if found else None
    if chosen is None or chosen not in given:
        raise ValueError(f"{key} is {layer!r}, and no module of {type(model).__name__} gives such features; name one")
    return chosen, given[chosen][0].numel()


def _same(first: Tensor, second: Tensor) -> bool:
    return first.data_ptr() == second.data_ptr() and first.numel() == second.numel()
