"""Training of a pruned architecture from other weights than its own: fresh ones, or those of an earlier stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.source import START, Source
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, feed, moved
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.training._initialization import check_init, initialize

RANDOM = "random"
BUDGETS = ("epochs", "macs")
LONGEST = 2.0
"""Liu et al. 2019: where more than half of the work is saved, the epochs are doubled and no more."""


@dataclass(frozen=True, kw_only=True)
class Rewind(TrainingConfig, Technique):
    """Keep the pruned architecture, replace its weights, train again.

    to: `random` (Rethinking the value of network pruning, Liu et al. 2019), or the name of an earlier
        stage, `start` for the untrained network (lottery tickets, Frankle and Carbin 2019; masked
        networks only: where filters were removed, nobody recorded which weight came from where).
    budget: `epochs` trains for `epochs` (Scratch-E); `macs` for as many more as the pruned network is
        cheaper than the one at the start, at most twice as many (Scratch-B).
    init: what `random` means: `torch`, each layer's own default, or `he_fan_out`, as in the code of Liu et al. (see
        `training/from_scratch`).
    scale_init: the scales of batch normalisation after `random`; null means those of `init`.

    We differ: masked layers are not rescaled by their remaining fan-in.
    """

    to: str
    budget: str
    init: str
    scale_init: float | None

    needs = frozenset({"trained"})
    adds = frozenset({"retrained"})
    refuses = frozenset({"int8"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.budget not in BUDGETS:
            raise ValueError(f"budget is {self.budget!r}; {suggestion(self.budget, BUDGETS)}")
        check_init(self.init)
        if self.scale_init is not None and not 0 < self.scale_init < inf:
            raise out_of_range("scale_init", self.scale_init, "more than 0, or null")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError if there is no such stage, its shapes differ, or a layer cannot be reset."""
        epochs = self.epochs
        if self.budget == "macs":
            saved = macs(context.subject_of(Source(START)).model, context.example) / macs(
                subject.model, context.example
            )
            epochs = int(epochs * min(LONGEST, saved))
        if self.to == RANDOM:
            reset(subject.model, context.generator, self.init, self.scale_init)
        else:
            _take(subject.model, context.subject_of(Source(self.to)).model, self.to)
        subject.enforce()
        return context.train(subject, replace(self, epochs=epochs))


def reset(model: nn.Module, generator: torch.Generator, init: str, scale_init: float | None) -> None:
    """Re-initialise every layer, in place, drawing from `generator` alone; running statistics start again."""
    stuck = [
        name
        for name, module in model.named_modules()
        if next(module.parameters(recurse=False), None) is not None and not hasattr(module, "reset_parameters")
    ]
    if stuck:
        raise ValueError(f"to is {RANDOM!r}, but these layers cannot be re-initialised: {', '.join(stuck)}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
        for module in model.modules():
            restart: Callable[[], None] | None = getattr(module, "reset_parameters", None)
            if restart:
                restart()
    initialize(model, init, generator)
    for module in model.modules():
        if scale_init is not None and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine:
            nn.init.constant_(module.weight, scale_init)


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


def _take(model: nn.Module, earlier: nn.Module, stage: str) -> None:
    """Load the weights and statistics of `earlier`."""
    ours, theirs = model.state_dict(), earlier.state_dict()
    for name, tensor in ours.items():
        if name not in theirs or theirs[name].shape != tensor.shape:
            raise ValueError(
                f"to is {stage!r}, but {name} has another shape there: filters were removed since. "
                f"Only masked networks can be rewound to a stage; allowed here: {RANDOM!r}"
            )
    model.load_state_dict({name: theirs[name] for name in ours})
