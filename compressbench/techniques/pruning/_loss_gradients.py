"""Gradients of the task's loss with respect to weights, on calibration examples."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from compressbench.core.context import Context
from compressbench.core.task import Inputs, feed, moved

BATCH = 64


def mean_gradients(model: nn.Module, names: Iterable[str], context: Context, examples: int) -> dict[str, Tensor]:
    """Return the mean gradient of each parameter, in training mode but for dropout; the network stays as it is.

    examples: rounded up to whole batches of 64.
    """
    twin = copy.deepcopy(model).eval()
    for module in twin.modules():
        if isinstance(module, _BatchNorm):
            module.train()
    found: dict[str, Tensor] = {}
    batches = 0
    for inputs, targets in context.calibration(BATCH, -(-examples // BATCH)):
        batches += 1
        _add(found, _gradients(twin, names, context, inputs, targets))
    return {name: total / batches for name, total in found.items()}


def mean_squared_gradients(
    model: nn.Module, names: Iterable[str], context: Context, examples: int
) -> dict[str, Tensor]:
    """Return the mean over examples of each one's squared gradient, of each parameter, in evaluation mode.

    examples: rounded up to whole batches of 64.
    """
    twin = copy.deepcopy(model).eval()
    found: dict[str, Tensor] = {}
    count = 0
    for batch, answers in context.calibration(BATCH, -(-examples // BATCH)):
        for inputs, targets in zip(_single(batch), answers.split(1), strict=True):
            count += 1
            own = _gradients(twin, names, context, inputs, targets)
            _add(found, {name: gradient.square() for name, gradient in own.items()})
    return {name: total / count for name, total in found.items()}


def _gradients(
    model: nn.Module, names: Iterable[str], context: Context, inputs: Inputs, targets: Tensor
) -> dict[str, Tensor]:
    """Return the gradients of one batch; zeros of a parameter that the network does not use."""
    parameters = {name: model.get_parameter(name).requires_grad_(True) for name in names}
    device = next(iter(parameters.values())).device
    loss = next(iter(context.task.losses.values()))
    with torch.enable_grad():
        value = loss(feed(model, moved(inputs, device)).float(), targets.to(device))
        found = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
    given = zip(parameters.items(), found, strict=True)
    return {name: torch.zeros_like(own) if each is None else each for (name, own), each in given}


def _add(total: dict[str, Tensor], more: dict[str, Tensor]) -> None:
    for name, each in more.items():
        total[name] = total[name] + each if name in total else each


def _single(inputs: Inputs) -> Iterator[Inputs]:
    """Yield each example of a batch, as a batch of one."""
    if isinstance(inputs, tuple):
        yield from zip(*(each.split(1) for each in inputs), strict=True)
    else:
        yield from inputs.split(1)
