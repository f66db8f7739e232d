"""Canonical polyadic decompositions: a tensor as a sum of products of vectors."""

from __future__ import annotations

import functools
import string

import torch
from torch import Tensor

STEADY = 1e-6
"""It ends when a round improves the error by less than this fraction of the squared norm."""
RIDGE = 1e-10
"""Added to the diagonal of the normal equations, as a fraction of its mean: two components may become alike."""


def canonical(tensor: Tensor, rank: int, iterations: int, generator: torch.Generator) -> list[Tensor]:
    """Return for each mode its vectors as columns, (size of the mode, rank), float64, where the tensor lies.

    By alternating least squares, at most so many rounds, from the singular vectors of each mode; where a mode has fewer
    of them than the rank, the others are drawn. The vectors of a component have the same norm, and in all modes but the
    first their largest element is positive.
    """
    values = tensor.detach().double()
    unfolded = [values.movedim(mode, 0).flatten(1) for mode in range(values.dim())]
    factors = [_beginning(matrix, rank, generator) for matrix in unfolded]
    size, before = values.square().sum(), torch.tensor(torch.inf)
    for _ in range(iterations):
        for mode, matrix in enumerate(unfolded):
            others = [factor for other, factor in enumerate(factors) if other != mode]
            gram = functools.reduce(torch.mul, (factor.T @ factor for factor in others))
            product = matrix @ _products(others)
            gram = gram + torch.eye(rank).to(gram) * (RIDGE * gram.diagonal().mean() + torch.finfo(gram.dtype).tiny)
            factors[mode] = torch.linalg.solve(gram, product.T).T
        error = size - 2 * (factors[-1] * product).sum() + (factors[-1].T @ factors[-1] * gram).sum()
        if bool(before - error < STEADY * size):
            break
        before = error
    return _balanced(factors)


def _beginning(matrix: Tensor, rank: int, generator: torch.Generator) -> Tensor:
    vectors = torch.linalg.eigh(matrix @ matrix.T)[1].flip(1)[:, :rank]
    drawn = torch.randn(len(matrix), max(0, rank - vectors.shape[1]), generator=generator, dtype=matrix.dtype)
    return torch.cat([vectors, drawn.to(matrix)], dim=1)


def _products(factors: list[Tensor]) -> Tensor:
    """Return the products of the vectors of each component, (all their places, rank): Khatri and Rao's."""
    modes = string.ascii_lowercase[: len(factors)]
    found: Tensor = torch.einsum(",".join(f"{mode}z" for mode in modes) + f"->{modes}z", *factors)
    return found.flatten(0, -2)


def _balanced(factors: list[Tensor]) -> list[Tensor]:
    """Return the same components with equal norms, and their signs in the first mode."""
    norms = torch.stack([factor.norm(dim=0) for factor in factors])
    size = norms.log().mean(0).exp()  # zero for a component of which nothing is left
    found = [factor * (size / own.clamp_min(1e-300)) for factor, own in zip(factors, norms, strict=True)]
    for mode in range(1, len(found)):
        largest = found[mode].gather(0, found[mode].abs().argmax(0, keepdim=True))
        signs = torch.where(largest < 0, -1.0, 1.0).to(largest)
        found[mode], found[0] = found[mode] * signs, found[0] * signs
    return found
