"""Sparse from the first step: small weights go, those with large gradients come, while training (Evci et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import cos, pi
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.objective import Hook
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent, latent_name
from compressbench.techniques._layers import check_ratios, select
from compressbench.techniques.pruning._masked import Masked
from compressbench.techniques.pruning._ranking import apportion, highest, sort_keys
from compressbench.techniques.pruning._unstructured import keep_masked

DISTRIBUTIONS = ("erk", "uniform")


@dataclass(frozen=True)
class RigL(Technique):
    """Train a network that is sparse all the time, as sparse at the end as at the start, and move its connections.

    Source: Evci et al. 2020, "Rigging the Lottery: Making All Tickets Winners", section 3 and Algorithm 1. Connections
    are drawn at random at first. Every `frequency` steps a fraction of those of each layer goes, the smallest, and as
    many come where the gradient of the loss is largest; they start from zero.

    training: how it is trained, from the weights that the network has. targets, ignore: what is sparse, and what is
    not; biases are not. ratio: fraction of zeros over all these layers, 0 or more and less than 1. distribution: how
    layers share it: `erk` (Erdos-Renyi-kernel, equation 1: the density of a layer goes with the sum of its sizes over
    their product, at most 1) or `uniform` (the same for all but the first, which is dense). drop_fraction: of a layer's
    connections that move at the first update, 0 to 1; it falls to 0 along half a cosine. frequency: steps between
    updates. end: fraction of the training after which nothing moves.

    We differ: the optimizer takes its step after an update, too, with the gradients of what is there now; its momentum
    is not reset for connections that come, but has had no gradient since they went.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    ratio: float
    distribution: str
    drop_fraction: float
    frequency: int
    end: float

    adds: ClassVar[frozenset[str]] = frozenset({"trained", "sparse", "retrained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        check_ratios(self.ratio, {})
        if self.distribution not in DISTRIBUTIONS:
            raise ValueError(f"distribution is {self.distribution!r}; {suggestion(self.distribution, DISTRIBUTIONS)}")
        for key in ("drop_fraction", "end"):
            if not 0 <= getattr(self, key) <= 1:
                raise out_of_range(key, getattr(self, key), "a fraction from 0 to 1")
        if self.frequency < 1:
            raise out_of_range("frequency", self.frequency, "1 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = [f"{name}.weight" for name in select(subject.model, self.targets, self.ignore)]
        weights = {name: subject.model.get_parameter(name).detach() for name in names}
        shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
        shares = uniform(shapes, self.ratio) if self.distribution == "uniform" else erdos_renyi(shapes, self.ratio)
        functions = {}
        for name, count in zip(names, apportion([shares[name] * weights[name].numel() for name in names]), strict=True):
            chance = torch.rand(weights[name].shape, generator=context.generator)
            functions[name] = Masked(_top(chance, max(1, count)).to(weights[name]), True)
        last = self.end * context.steps(self.training)

        @torch.no_grad()
        def update(model: nn.Module) -> None:
            for name, function in functions.items():
                weight, step = model.get_parameter(latent_name(name)), int(function.iteration)
                if step and step % self.frequency == 0 and step < last:
                    self._move(function, weight, self.drop_fraction / 2 * (1 + cos(pi * step / last)))
                function.iteration += 1
                if weight.grad is not None:
                    weight.grad.mul_(function.mask)

        with latent(subject, functions):
            subject = context.train(subject, self.training, hooks=[Hook(after_backward=update)])
        for name, function in functions.items():
            keep_masked(subject, name, function.mask.bool())
        return subject

    def _move(self, function: Masked, weight: nn.Parameter, fraction: float) -> None:
        """Let that fraction of a layer's connections go, and as many come, in place."""
        assert weight.grad is not None
        before = function.mask.bool()
        there = int(before.sum())
        moving = min(int(fraction * there), there - 1)
        stays = _top(weight.abs(), there - moving, before)
        comes = _top(weight.grad.abs(), moving, ~stays) if moving else torch.zeros_like(stays)
        weight[comes & ~before] = 0
        function.mask.copy_(stays | comes)


def uniform(shapes: Mapping[str, tuple[int, ...]], ratio: float) -> dict[str, Fraction]:
    """Return the density of each layer: 1 - ratio, but for the first, which is dense."""
    dense = 1 - Fraction(str(ratio))
    return {name: Fraction(1) if number == 0 else dense for number, name in enumerate(shapes)}


def erdos_renyi(shapes: Mapping[str, tuple[int, ...]], ratio: float) -> dict[str, Fraction]:
    """Return the density of each layer: in proportion to the sum of its sizes over their product, 1 at most; 1 - ratio
    over all."""
    sizes = {name: Fraction(torch.Size(shape).numel()) for name, shape in shapes.items()}
    raw = {name: Fraction(sum(shape)) / sizes[name] for name, shape in shapes.items()}
    wanted = (1 - Fraction(str(ratio))) * sum(sizes.values())
    dense: set[str] = set()
    while True:
        rest = [name for name in shapes if name not in dense]
        left = wanted - sum(sizes[name] for name in dense)
        scale = left / sum((raw[name] * sizes[name] for name in rest), Fraction(0)) if rest else Fraction(0)
        full = {name for name in rest if scale * raw[name] > 1}
        if not full:
            return {name: Fraction(1) if name in dense else scale * raw[name] for name in shapes}
        dense |= full


def _top(scores: Tensor, count: int, allowed: Tensor | None = None) -> Tensor:
    """Return where the `count` highest scores stand, of those allowed."""
    found = highest(sort_keys(scores, allowed), count)
    return torch.from_numpy(found).reshape(scores.shape).to(scores.device)
