"""Copies of the last part of a network, which go on from what its shared part makes."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from compressbench.core.errors import suggestion
from compressbench.core.task import Inputs, feed
from compressbench.techniques.distillation._features import drawn


class Given(nn.Module):
    """Gives what it was handed, whatever it is called with."""

    def __init__(self) -> None:
        super().__init__()
        self.features: Tensor | None = None

    def forward(self, *inputs: Any) -> Tensor:
        assert self.features is not None
        return self.features


class Branch(nn.Module):
    """What a network computes after one of its modules, with weights of its own, freshly drawn.

    ValueError if the rest of the network does not hang on that module alone.
    """

    def __init__(self, model: nn.Module, shared: str, example: Inputs, generator: torch.Generator):
        super().__init__()
        before, features, expected = _run(model, shared, example)
        self.model, self.given = copy.deepcopy(model).eval(), Given()
        for name in before:
            self.model.set_submodule(name, nn.Identity())
        self.model.set_submodule(shared, self.given)
        try:
            with torch.no_grad():
                same = torch.equal(self(features), expected)
        except (RuntimeError, ValueError, TypeError, IndexError):
            same = False
        if not same:
            raise ValueError(f"shared is {shared!r}, but what comes after it reads more than its results; name another")
        drawn(lambda: _reset(self.model), generator)

    def forward(self, features: Tensor) -> Tensor:
        """Return the network's outputs from the features."""
        self.given.features = features
        try:
            found: Tensor = self.model(features)
            return found
        finally:
            self.given.features = None


@torch.no_grad()
def _run(model: nn.Module, shared: str, example: Inputs) -> tuple[list[str], Tensor, Tensor]:
    """Return the names of the outermost modules that only run before `shared` does, its results, and the network's."""
    modules = dict(model.named_modules())
    if shared not in modules or not shared:
        raise ValueError(
            f"shared is {shared!r}, which {type(model).__name__} lacks; {suggestion(shared, list(modules))}"
        )
    order: list[str] = []
    found: list[Tensor] = []

    def keep(name: str) -> Any:
        def see(module: nn.Module, inputs: Any, output: Any) -> None:
            order.append(name)
            if name == shared:
                found.append(output)

        return see

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    modes = [(module, module.training) for module in modules.values()]
    expected = feed(model.eval(), example)
    for module, mode in modes:
        module.training = mode
    for handle in handles:
        handle.remove()
    if len(found) != 1 or not isinstance(found[0], Tensor):
        raise ValueError(f"shared is {shared!r}, which does not give one tensor once; name another")
    place = order.index(shared)
    after = set(order[place:])
    early = [name for name in dict.fromkeys(order[:place]) if name not in after and not shared.startswith(f"{name}.")]
    outer = [name for name in early if not any(name.startswith(f"{other}.") for other in {*early, shared})]
    return outer, found[0], expected


def _reset(model: nn.Module) -> None:
    """Draw all weights anew, each layer as torch does."""
    for module in model.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
