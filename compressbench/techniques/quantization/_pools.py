"""Pools in front of batch norm, where binary networks want them."""

from __future__ import annotations

import inspect
from dataclasses import replace

import torch

from compressbench.core.subject import Skipped, Subject

ARGUMENT = "pool_first"


def move_pools(subject: Subject) -> Subject:
    """Return the subject as its architecture builds it with `pool_first`, with the same weights.

    A maximum of signs is nearly always 1, so a binary network pools before it normalises (Hubara et al. 2016, section
    2.1; Rastegari et al. 2016, section 3.2). Where batch norm's scales are positive both orders are the same function.
    What cannot be built so stays as it is, and that is in `skipped`.
    """
    architecture = subject.architecture
    if ARGUMENT not in inspect.signature(architecture.builder()).parameters:
        subject.skipped.append(Skipped("pools", f"they stay behind batch norm: the network has no {ARGUMENT}"))
        return subject
    moved = replace(architecture, arguments={**architecture.arguments, ARGUMENT: True})
    with torch.random.fork_rng(devices=[]):
        model = moved.build()
    state = subject.model.state_dict()
    if {name: tensor.shape for name, tensor in model.state_dict().items()} != {n: t.shape for n, t in state.items()}:
        subject.skipped.append(Skipped("pools", "they stay behind batch norm: an earlier stage changed the network"))
        return subject
    model.load_state_dict(state)
    model.to(next(subject.model.parameters()).device)
    subject.model, subject.architecture = model, moved
    return subject
