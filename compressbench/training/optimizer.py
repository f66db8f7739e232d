"""The optimizer of a training, without the compiler that torch would import for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

import torch
from torch import nn

from compressbench.core.training import TrainingConfig

FACTOR = "lr_factor"


def make_optimizer(
    training: TrainingConfig, named: Iterable[tuple[str, nn.Parameter]], learned: Iterable[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """Return SGD or Adam with the training's settings, in torch's fused form, the fastest one on a CPU.

    named: every parameter that is trained, with its name. Those with the same factor of the learning rate are a group.
    learned: what is trained beside the network, at the plain learning rate.
    ValueError as `TrainingConfig.factors`.
    """
    leave_compiler_out()
    found, groups = dict(named), dict[float, list[nn.Parameter]]()
    for name, factor in training.factors(found).items():
        groups.setdefault(factor, []).append(found[name])
    for parameter in learned:
        groups.setdefault(1.0, []).append(parameter)
    parameters = [{"params": group, FACTOR: factor} for factor, group in groups.items()]
    decay = training.weight_decay
    if training.optimizer == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(parameters, training.lr, weight_decay=decay, fused=True)
    else:
        momentum, nesterov = training.momentum, training.nesterov
        optimizer = torch.optim.SGD(
            parameters, training.lr, momentum, weight_decay=decay, nesterov=nesterov, fused=True
        )
    set_learning_rate(optimizer, training.lr)
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group of parameters its factor of this rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group[FACTOR]


def plain_step(optimizer: torch.optim.Optimizer) -> Callable[[], None]:
    """Return `optimizer.step` without its wrappers: hooks for profilers, and the compiler."""
    step = inspect.unwrap(type(optimizer).step)

    @torch.no_grad()
    def take() -> None:
        step(optimizer)  # type: ignore[call-arg]

    return take


def leave_compiler_out() -> None:
    """Keep torch from importing its compiler, which takes as long as importing torch.

    The methods of optimizers are wrapped so that the compiler leaves them alone, and the wrapper imports it on
    first use to say so, whether anything is compiled or not. Nothing is here; so the methods are marked as done.
    A torch that wraps them in another way is left as it is, and only starts later.
    """
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        plain = getattr(getattr(torch.optim.Optimizer, name), "__wrapped__", None)
        if plain is not None and not hasattr(plain, "__dynamo_disable"):
            plain.__dynamo_disable = plain
