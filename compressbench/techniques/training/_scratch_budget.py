"""How long a pruned network is trained from new weights (Liu et al. 2019, Scratch-E and Scratch-B)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import suggestion
from compressbench.core.source import START, Source
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, feed, moved
from compressbench.core.training import TrainingConfig

BUDGETS = ("epochs", "macs")
LONGEST = 2.0
"""Liu et al. 2019: where more than half of the work is saved, the epochs are doubled and no more."""


def check_budget(budget: str) -> None:
    """Raise ValueError if there is no such budget."""
    if budget not in BUDGETS:
        raise ValueError(f"budget is {budget!r}; {suggestion(budget, BUDGETS)}")


def lengthened(config: TrainingConfig, budget: str, subject: Subject, context: Context) -> TrainingConfig:
    """Return the training with as many epochs as the budget gives.

    budget: `epochs`, those of the training (Scratch-E); `macs`, as many more as the subject is cheaper than the network
    at the start, at most `LONGEST` times as many (Scratch-B).
    """
    if budget == "epochs":
        return config
    start = context.subject_of(Source(START)).model
    saved = macs(start, context.example) / macs(subject.model, context.example)
    return replace(config, epochs=int(config.epochs * min(LONGEST, saved)))


@torch.no_grad()
def macs(model: nn.Module, example: Inputs) -> int:
    """Return the multiply-accumulates of convolutions and linear layers for one example; zero weights cost none."""
    counts: list[int] = []

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        weight = layer.get_parameter("weight")
        counts.append(output.numel() // weight.shape[0] * int(torch.count_nonzero(weight)))

    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    model.eval()
    feed(model, moved(example, next(model.parameters()).device))
    for hook in hooks:
        hook.remove()
    return sum(counts)
