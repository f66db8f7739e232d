"""Pools in front of batch norm, as binary networks want them."""

from __future__ import annotations

import inspect
from dataclasses import replace

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from compressbench.core.subject import Skipped, Subject

POOL_FIRST, BATCH_NORM = "pool_first", "batch_norm"
"""Arguments of architectures that can be built so."""


def move_pools(subject: Subject) -> Subject:
    """Return the subject as its architecture builds it with pools in front of batch norm, with the same weights.

    A maximum of signs is nearly always 1, so a binary network pools before it normalises (Hubara et al. 2016, section
    2.1; Rastegari et al. 2016, section 3.2). Where batch norm's scales are positive both orders are the same function.
    A network that can be built with batch norm gets it too, if it has none. What cannot be built so stays as it is, and
    that is in `skipped`.
    """
    architecture = subject.architecture
    known = inspect.signature(architecture.builder()).parameters
    if POOL_FIRST not in known:
        subject.skipped.append(Skipped("pools", f"they stay behind batch norm: the network has no {POOL_FIRST}"))
        return subject
    wanted = {name: True for name in (POOL_FIRST, BATCH_NORM) if name in known}
    moved = replace(architecture, arguments={**architecture.arguments, **wanted})
    with torch.random.fork_rng(devices=[]):
        model = moved.build()
    state = subject.model.state_dict()
    fresh = {
        f"{name}.{tensor}": value
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm)
        for tensor, value in module.state_dict().items()
    }
    state = {**fresh, **state}
    if {name: tensor.shape for name, tensor in model.state_dict().items()} != {n: t.shape for n, t in state.items()}:
        subject.skipped.append(Skipped("pools", "they stay behind batch norm: an earlier stage changed the network"))
        return subject
    model.load_state_dict(state)
    model.to(next(subject.model.parameters()).device)
    subject.model, subject.architecture = model, moved
    return subject
