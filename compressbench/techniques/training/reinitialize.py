"""Training of a pruned architecture from new weights (Liu et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import torch
from torch import nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.training._initialization import check_init, initialize
from compressbench.techniques.training._scratch_budget import check_budget, lengthened


@dataclass(frozen=True)
class Reinitialize(Technique):
    """Keep the pruned architecture, draw new weights, train again.

    Source: Liu et al. 2019, "Rethinking the Value of Network Pruning". Masks stay.

    training: how it is trained. budget: `epochs` trains for its epochs (Scratch-E); `macs` for as many more as the
    pruned network is cheaper than the one at the start, at most twice as many (Scratch-B). init: what weights are
    drawn: `torch`, each layer's own default, or `he_fan_out`, as in the code of Liu et al. (see
    `training/from_scratch`). scale_init: the scales of batch normalisation; null means those of `init`.

    We differ: masked layers are not rescaled by their remaining fan-in.
    """

    training: TrainingConfig
    budget: str
    init: str
    scale_init: float | None

    needs = frozenset({"trained"})
    adds = frozenset({"retrained"})
    refuses = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_budget(self.budget)
        check_init(self.init)
        if self.scale_init is not None and not 0 < self.scale_init < inf:
            raise out_of_range("scale_init", self.scale_init, "more than 0, or null")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError if a layer cannot be re-initialised."""
        config = lengthened(self.training, self.budget, subject, context)
        reset(subject.model, context.generator, self.init, self.scale_init)
        subject.enforce()
        return context.train(subject, config)


def reset(model: nn.Module, generator: torch.Generator, init: str, scale_init: float | None) -> None:
    """Re-initialise every layer, in place, drawing from `generator` alone; running statistics start again."""
    stuck = [
        name
        for name, module in model.named_modules()
        if next(module.parameters(recurse=False), None) is not None and not hasattr(module, "reset_parameters")
    ]
    if stuck:
        raise ValueError(f"these layers cannot be re-initialised: {', '.join(stuck)}")
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
