"""Weights are pruned, and spliced in again where they turn out to matter, while training (Guo et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.objective import Hook
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent, latent_name
from compressbench.techniques._layers import kind_of, value_by_layer
from compressbench.techniques.pruning._masked import Masked, earlier_mask
from compressbench.techniques.pruning._unstructured import keep_masked

PRUNE, SPLICE = 0.9, 1.1
"""A weight goes at or below 0.9 thresholds and comes back above 1.1, as in the authors' code."""


@dataclass(frozen=True)
class DynamicNetworkSurgery(Technique):
    """Train with masks over weights and biases that follow the magnitudes of all weights, the masked ones too.

    Source: Guo et al. 2016, "Dynamic Network Surgery for Efficient DNNs", Algorithm 1 and equations 3 and 4, and the
    authors' code. After every backward pass a layer's masks are brought up to date with probability
    (1 + update_gamma t)^(-update_power) at iteration t: see `updated`. Every weight is then moved by the gradient of
    the masked one.

    c_rate: the threshold of a layer is max(0, mean + c_rate * deviation) of its magnitudes before the first iteration.
    c_rates: other values for some layers. targets, ignore: what is pruned, and what is not. update_until: fraction of
    the iterations after which the masks stay as they are. in_turn: convolutions first, then linear layers, each with a
    training of its own, as the paper does it against vanishing gradients.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    c_rate: float
    c_rates: dict[str, float]
    update_gamma: float
    update_power: float
    update_until: float
    in_turn: bool

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"sparse", "retrained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})
    predictable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        rates = {f"c_rates.{selector}": rate for selector, rate in self.c_rates.items()}
        numbers = {"c_rate": self.c_rate, **rates, "update_gamma": self.update_gamma, "update_power": self.update_power}
        for key, value in numbers.items():
            if not 0 <= value < inf:
                raise out_of_range(key, value, "0 or more")
        if not 0 <= self.update_until <= 1:
            raise out_of_range("update_until", self.update_until, "a fraction from 0 to 1")

    def apply(self, subject: Subject, context: Context) -> Subject:
        rates = value_by_layer(subject.model, self.targets, self.ignore, self.c_rate, self.c_rates, "c_rates")
        if not self.in_turn:
            return self._operate(subject, context, rates)
        for kind in ("conv", "linear"):
            own = {name: rate for name, rate in rates.items() if kind_of(subject.model.get_submodule(name)) == kind}
            if own:
                subject = self._operate(subject, context, own)
        return subject

    def _operate(self, subject: Subject, context: Context, rates: Mapping[str, float]) -> Subject:
        """Train once, with surgery on these layers; then fix their masks."""
        functions: dict[str, nn.Module] = {}
        patients: list[tuple[float, dict[str, Masked]]] = []
        for layer, rate in rates.items():
            module = subject.model.get_submodule(layer)
            names = [name for name in ("bias", "weight") if getattr(module, name) is not None]  # baked in this order
            own = {f"{layer}.{name}": Masked(earlier_mask(subject, f"{layer}.{name}"), True) for name in names}
            patients.append((threshold([module.get_parameter(name) for name in names], rate), own))
            functions |= own
        last = self.update_until * context.steps(self.training)

        @torch.no_grad()
        def operate(model: nn.Module) -> None:
            for limit, own in patients:
                iteration, chance = int(next(iter(own.values())).iteration), float(torch.rand(()))
                for name, function in own.items():
                    if iteration < last and chance < self.probability(iteration):
                        weight = model.get_parameter(latent_name(name))
                        function.mask.copy_(updated(function.mask, weight, limit))
                    function.iteration += 1

        with latent(subject, functions):
            subject = context.train(subject, self.training, hooks=[Hook(after_backward=operate)])
        for _, own in patients:
            for name, function in own.items():
                keep_masked(subject, name, function.mask.bool())
        return subject

    def probability(self, iteration: int) -> float:
        """Return the chance that a layer's masks are brought up to date at an iteration, counted from 0."""
        return float((1 + self.update_gamma * iteration) ** -self.update_power)


def threshold(parameters: list[nn.Parameter], c_rate: float) -> float:
    """Return max(0, mean + c_rate * deviation) of the magnitudes of what is not zero in a layer's parameters."""
    magnitudes = torch.cat([parameter.detach().flatten() for parameter in parameters]).abs().double()
    magnitudes = magnitudes[magnitudes != 0]
    if not len(magnitudes):
        return 0.0
    return max(0.0, float(magnitudes.mean() + c_rate * magnitudes.std(correction=0)))


def updated(mask: Tensor, weight: Tensor, limit: float) -> Tensor:
    """Return the mask of equation 3: 0 for small weights, 1 for large ones, what it was for those in between."""
    magnitude = weight.abs()
    return (mask * (magnitude > PRUNE * limit)).maximum((magnitude > SPLICE * limit).to(mask.dtype))
