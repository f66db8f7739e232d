"""The best approximation of a matrix by one of a lower rank (Eckart and Young 1936), for many matrices at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LARGE = 1024
"""Beyond so many rows and columns, singular values are found as roots of eigenvalues, ten times as fast."""


class Factors(NamedTuple):
    """left: (matrices, rows, rank). right: (matrices, rank, columns). Their product is the approximation."""

    left: Tensor
    right: Tensor


class Decomposition(NamedTuple):
    """A singular value decomposition, float64 but for LARGE matrices; signs are such that the largest element of every
    left vector is positive. left: (matrices, rows, k), values: (matrices, k), falling, right: (matrices, k, columns).
    """

    left: Tensor
    values: Tensor
    right: Tensor

    def truncated(self, rank: int) -> Factors:
        """Return the factors of the best approximation; both have the root of each singular value."""
        roots = self.values[:, :rank].sqrt()
        return Factors(self.left[:, :, :rank] * roots[:, None], roots[:, :, None] * self.right[:, :rank])


@torch.no_grad()
def decomposed(matrices: Tensor) -> Decomposition:
    """Return the decomposition of each matrix, (matrices, rows, columns). ValueError if a number is not finite."""
    if not bool(matrices.isfinite().all()):
        raise ValueError("a weight is not a number; the layer cannot be factored")
    if min(matrices.shape[1:]) > LARGE:
        left, values, right = _by_eigenvalues(matrices)
    else:
        left, values, right = torch.linalg.svd(matrices.double(), full_matrices=False)
    largest = left.gather(1, left.abs().argmax(1, keepdim=True))
    signs = torch.where(largest < 0, -1.0, 1.0).to(left.dtype)
    return Decomposition(left * signs, values, right * signs.mT)


def _by_eigenvalues(matrices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Singular values smaller than a thousandth of the largest drown in rounding, and are as good as zero."""
    if matrices.shape[1] > matrices.shape[2]:
        left, values, right = _by_eigenvalues(matrices.mT)
        return right.mT, values, left.mT
    squares, vectors = torch.linalg.eigh(matrices @ matrices.mT)
    left, values = vectors.flip(2), squares.flip(1).clamp_min(0).sqrt()
    right = left.mT @ matrices / values.clamp_min(torch.finfo(values.dtype).tiny)[:, :, None]
    return left, values, torch.where(values[:, :, None] > 1e-4 * values[:, :1, None], right, 0.0)
