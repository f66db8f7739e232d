"""The weights that a network starts from."""

from __future__ import annotations

import torch
from torch import nn

from compressbench.core.errors import suggestion

AS_BUILT, HE_FAN_OUT = "torch", "he_fan_out"
INITS = (AS_BUILT, HE_FAN_OUT)
LINEAR_STD, SCALE = 0.01, 0.5


def check_init(init: str) -> None:
    """Raise ValueError if there is no such way to start."""
    if init not in INITS:
        raise ValueError(f"init is {init!r}; {suggestion(init, INITS)}")


@torch.no_grad()
def initialize(model: nn.Module, init: str, generator: torch.Generator) -> None:
    """Draw the starting weights of a network, in place, from `generator` alone; running statistics stay.

    init: `torch` leaves them as the network was built, which is torch's default for each layer unless its class says
    otherwise. `he_fan_out`: convolutions from N(0, 2 / (k k filters)) (He et al. 2015, 2.2), linear layers from
    N(0, 0.01^2), scales of batch normalisation 0.5, all biases and shifts 0; other layers as they were built.

    Source: the public code of Liu et al. 2019 (rethinking-network-pruning, cifar).
    """
    if init == AS_BUILT:
        return
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=LINEAR_STD, generator=generator)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine:
            nn.init.constant_(module.weight, SCALE)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
