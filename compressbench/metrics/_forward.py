"""What happens in one forward pass, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from compressbench.core.errors import PlanError
from compressbench.core.task import Inputs, feed, moved, shapes, tensors


class Call(NamedTuple):
    """One call of a module: its name in the network, itself, and the shapes of its first tensor and its output."""

    name: str
    module: nn.Module
    input_shape: torch.Size
    output_shape: torch.Size


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode; afterwards give every module back the mode it had."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def calls(model: nn.Module, example: Inputs) -> list[Call]:
    """Return the calls, from tensor to tensor, in a forward pass of `example`, a batch, in the order they end.

    A module that runs twice is there twice. The model is left as it was; it may lie on any device, meta included.
    PlanError if the network cannot take such inputs.
    """
    found: list[Call] = []

    def see(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            tensors = [value for value in (*inputs, *named.values()) if isinstance(value, Tensor)]
            if tensors and isinstance(output, Tensor):
                found.append(Call(name, module, tensors[0].shape, output.shape))

        return hook

    first = next(model.parameters(), tensors(example)[0])
    handles = [module.register_forward_hook(see(name), with_kwargs=True) for name, module in model.named_modules()]
    try:
        with evaluating(model), torch.no_grad():
            feed(model, moved(example, first.device))
    except RuntimeError as error:
        what = f"{type(model).__name__} cannot take inputs of {shapes(example)}: {str(error).splitlines()[0]}"
        raise PlanError.of("model", what) from error
    finally:
        for handle in handles:
            handle.remove()
    return found
