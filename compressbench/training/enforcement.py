"""Keeping constraints after every optimizer step, at little cost."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from compressbench.core.constraint import Constraint, Mask


class Enforcement:
    """Enforces constraints on one network; what `Mask.enforce` does, for all masks in one call.

    Masks are multiplied as floats in the memory layout of their weights, which takes a fraction of the time of
    boolean ones and gives the same bits. A mask that is changed in the middle of a training is noticed.
    Raises ValueError for a mask of a parameter that the network does not have, or has in another shape.
    """

    def __init__(self, model: nn.Module, constraints: Sequence[Constraint]):
        self.model = model
        self.masks = [constraint for constraint in constraints if isinstance(constraint, Mask)]
        shapes = {name: parameter.shape for name, parameter in model.named_parameters(remove_duplicate=False)}
        for mask in self.masks:
            if shapes.get(mask.parameter) != mask.keep.shape:
                raise ValueError(
                    f"a mask of shape {list(mask.keep.shape)} is promised for {mask.parameter!r}; the network has "
                    f"{list(shapes[mask.parameter]) if mask.parameter in shapes else 'no such parameter'}"
                )
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
