"""What happens in one forward pass, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

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
    """Return the calls, from tensors to tensors, in a forward pass of `example`, a batch, in the order they end.

    A module that runs twice is there twice. The model is left as it was; it may lie on any device, meta included.
    PlanError if the network cannot take such inputs.
    """
    found: list[Call] = []

    def see(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            taken, made = _first_tensor((*inputs, *named.values())), _first_tensor(output)
            if taken is not None and made is not None:
                found.append(Call(name, module, taken.shape, made.shape))

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


def _first_tensor(values: Any) -> Tensor | None:
    """Return the first tensor in what a module takes or gives, however it is wrapped; None if there is none."""
    if isinstance(values, Tensor):
        return values
    if isinstance(values, PackedSequence):
        return values.data
    if isinstance(values, Mapping):
        values = values.values()
    elif not isinstance(values, list | tuple):
        return None
    return next((found for value in values if (found := _first_tensor(value)) is not None), None)
