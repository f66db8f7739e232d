"""Latent weights kept in a range while they are trained, without which straight-through training runs away from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from compressbench.core.subject import Subject


@dataclass(eq=False)
class Clip:
    """Weights lie in [-limit, limit]. It lives only while a technique trains, so it is never stored.

    parameter: the name in `model.named_parameters()`.
    """

    parameter: str
    limit: float

    @torch.no_grad()
    def enforce(self, model: nn.Module) -> None:
        model.get_parameter(self.parameter).clamp_(-self.limit, self.limit)

    def holds(self, model: nn.Module) -> bool:
        return bool((model.get_parameter(self.parameter).detach().abs() <= self.limit).all())


@contextmanager
def clipped(subject: Subject, limits: Mapping[str, float]) -> Iterator[None]:
    """Clip parameters to [-limit, limit] now and after every step, until it ends (Courbariaux et al. 2015).

    limits: by name of the parameter. Stand it around `latent`, with the plain names (`conv1.weight`): `latent` lets it
    act on the latent weights.
    """
    clips = [Clip(parameter, limit) for parameter, limit in limits.items()]
    for clip in clips:
        clip.enforce(subject.model)
    with subject.constrained(clips):
        yield
