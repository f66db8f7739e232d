"""Which module reads what another one made, seen while the network runs."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn

from compressbench.core.task import Inputs, feed, moved


@torch.no_grad()
def readers_of(model: nn.Module, example: Inputs) -> dict[str, list[str]]:
    """Return by name of a module the modules that are given its output as it is, in order; both without children.

    What an operation between them does to it (an addition, a concatenation, a function called by the network's own
    code) hides them from each other; whether such an operation reads it beside them cannot be seen here.
    """
    made: dict[int, str] = {}
    alive: list[Tensor] = []  # so that no number is given to another tensor
    found: dict[str, list[str]] = defaultdict(list)

    def watch(name: str, module: nn.Module) -> list[Any]:
        def before(_: nn.Module, given: tuple[Any, ...]) -> None:
            for tensor in given:
                if id(tensor) in made:
                    found[made[id(tensor)]].append(name)

        def after(_: nn.Module, given: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, Tensor):
                made[id(output)] = name
                alive.append(output)

        return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]

    hooks = [
        hook for name, module in model.named_modules() if not list(module.children()) for hook in watch(name, module)
    ]
    try:
        feed(model, moved(example, next(model.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return found
