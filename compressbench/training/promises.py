"""Keeping constraints after every optimizer step, at little cost."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from compressbench.core.constraint import Constraint, Mask


class Promises:
    """Enforces constraints on one network; what `Mask.enforce` does, for all masks in one call.

    Masks are multiplied as floats in the memory layout of their weights, which takes a fraction of the time of
    boolean ones and gives the same bits. A mask that is changed in the middle of a training is noticed.
    """

    def __init__(self, model: nn.Module, constraints: Sequence[Constraint]):
        self.model = model
        self.masks = [constraint for constraint in constraints if isinstance(constraint, Mask)]
        self.others = [constraint for constraint in constraints if not isinstance(constraint, Mask)]
        self.weights: list[Tensor] = []
        self.factors: list[Tensor] = []
        self.made_from: list[tuple[int, int]] = []

    def enforce(self) -> None:
        """Make every promise true again."""
        if self.masks:
            if self.made_from != self._sources():
                self._multiply_out()
            torch._foreach_mul_(self.weights, self.factors)
        for constraint in self.others:
            constraint.enforce(self.model)

    def _sources(self) -> list[tuple[int, int]]:
        """Return what changes when a mask is replaced or written into."""
        return [(id(mask.keep), mask.keep._version) for mask in self.masks]

    def _multiply_out(self) -> None:
        weights: dict[str, Tensor] = {}
        factors: dict[str, Tensor] = {}
        for mask in self.masks:
            weight = weights.setdefault(mask.parameter, self.model.get_parameter(mask.parameter).detach())
            factor = factors.setdefault(mask.parameter, torch.ones_like(weight))
            factor.mul_(mask.keep.to(weight.device))
        self.weights, self.factors = list(weights.values()), list(factors.values())
        self.made_from = self._sources()
