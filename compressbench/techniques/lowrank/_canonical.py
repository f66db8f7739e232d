"""Canonical polyadic decompositions: a tensor as a sum of products of vectors."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from tensorly.decomposition import parafac
from torch import Tensor


def canonical(tensor: Tensor, rank: int, iterations: int, generator: torch.Generator) -> list[Tensor]:
    """Return for each mode its vectors as columns, (size of the mode, rank), float64, where the tensor lies.

    By alternating least squares (tensorly) from the singular vectors of each mode; where a mode has fewer of them than
    the rank, the others are drawn. The vectors of a component have the same norm, and in all modes but the first their
    largest element is positive.
    """
    seed = int(torch.randint(2**31, (1,), generator=generator))
    values = tensor.detach().double().cpu().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it draws vectors, as said above
        _, columns = parafac(values, rank, n_iter_max=iterations, tol=1e-10, random_state=np.random.RandomState(seed))
    factors = [torch.from_numpy(np.ascontiguousarray(each)) for each in columns]
    norms = torch.stack([factor.norm(dim=0) for factor in factors])
    size = norms.log().mean(0).exp()  # zero for a component of which nothing is left
    signs = torch.ones(rank, dtype=torch.float64)
    for mode, factor in enumerate(factors):
        factor *= size / norms[mode].clamp_min(torch.finfo(torch.float64).tiny)
        if mode:
            largest = factor.gather(0, factor.abs().argmax(0, keepdim=True))[0]
            own = torch.where(largest < 0, -1.0, 1.0)
            factor *= own
            signs *= own
    factors[0] *= signs
    return [factor.to(tensor.device) for factor in factors]
