"""Batch norms that are put into a trained network: at first they change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.task import feed, moved

BATCH = 64


@torch.no_grad()
def identical(channels: int, device: torch.device) -> nn.BatchNorm2d:
    """Return a batch norm that gives what it gets, whatever that is, until it is trained."""
    norm = nn.BatchNorm2d(channels, device=device)
    norm.weight.fill_((1 + norm.eps) ** 0.5)
    return norm


@torch.no_grad()
def settle(model: nn.Module, names: Sequence[str], context: Context, examples: int) -> None:
    """Give such batch norms the statistics of training examples, and the scale and shift that undo them.

    So a training, which normalises by the statistics of a batch, begins where the network is. examples: rounded up to
    whole batches.
    """
    if not names:
        return
    norms = {name: model.get_submodule(name) for name in names}
    sums = {
        name: torch.zeros(3, norm.get_parameter("weight").numel(), dtype=torch.float64) for name, norm in norms.items()
    }

    def see(name: str) -> Any:
        def hook(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            values = given[0].double().transpose(0, 1).flatten(1).cpu()
            ones = torch.full((len(values),), float(values.shape[1]), dtype=torch.float64)
            sums[name] += torch.stack([ones, values.sum(1), values.square().sum(1)])

        return hook

    handles = [norm.register_forward_pre_hook(see(name)) for name, norm in norms.items()]
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters()).device
    model.eval()
    try:
        for inputs, _ in context.calibration(BATCH, -(-examples // BATCH)):
            feed(model, moved(inputs, device))
    finally:
        for module, training in modes:
            module.training = training
        for handle in handles:
            handle.remove()
    for name, norm in norms.items():
        count, total, squares = sums[name]
        if not bool(count.all()):
            continue  # the network never calls it
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0)
        assert isinstance(norm, nn.BatchNorm2d)
        norm.get_buffer("running_mean").copy_(mean)
        norm.get_buffer("running_var").copy_(variance)
        norm.bias.copy_(mean)
        norm.weight.copy_((norm.get_buffer("running_var") + norm.eps).sqrt())
