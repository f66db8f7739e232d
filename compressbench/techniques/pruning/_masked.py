"""Masks that change while a network is trained: functions of the weights for `techniques._latent`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compressbench.core.subject import Subject


class Masked(nn.Module):
    """Multiplies a tensor by a mask.

    mask: 1 where a weight is there, 0 where not, of the tensor's shape and dtype. iteration: steps done. Both are
    buffers, so that a training that goes on from a checkpoint goes on with them.
    spliceable: the gradient of the product reaches all weights, the masked ones too (Guo et al. 2016, equation 4);
    otherwise only those that are there.
    """

    mask: Tensor
    iteration: Tensor

    def __init__(self, mask: Tensor, spliceable: bool):
        super().__init__()
        self.register_buffer("mask", mask)
        self.register_buffer("iteration", torch.zeros((), dtype=torch.int64))
        self.spliceable = spliceable

    def forward(self, weight: Tensor) -> Tensor:
        if self.spliceable:
            product: Tensor = _Spliceable.apply(weight, self.mask)  # type: ignore[no-untyped-call]
            return product
        return weight * self.mask


class _Spliceable(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, mask: Tensor) -> Tensor:
        return weight * mask

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def earlier_mask(subject: Subject, parameter: str) -> Tensor:
    """Return the mask that a promise keeps for the parameter, else ones, in its shape and dtype."""
    weight = subject.model.get_parameter(parameter).detach()
    keep = subject.mask(parameter)
    return torch.ones_like(weight) if keep is None else keep.to(weight.dtype)
