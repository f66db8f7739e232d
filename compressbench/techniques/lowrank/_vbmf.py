"""How many components of a matrix stand out of its noise: the global analytic solution of variational Bayes."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

ROOT = 2.5129
"""The zero of the function that decides whether a component pays, over the root of the ratio of the sides."""


def vbmf_rank(singular_values: Array, rows: int, columns: int) -> int:
    """Return the rank that empirical variational Bayesian matrix factorization finds, 0 if all looks like noise.

    Source: Nakajima et al. 2013, "Global Analytic Solution of Fully-observed Variational Bayesian Matrix
    Factorization", Theorem 2, with the variance of the noise estimated by its Eq. 29. singular_values: all
    min(rows, columns) of them, falling.
    """
    short, long = sorted((rows, columns))
    squares = np.asarray(singular_values, np.float64) ** 2
    if not squares.any():
        return 0
    alpha = short / long
    smallest = ROOT * np.sqrt(alpha)
    edge = (1 + smallest) * (1 + alpha / smallest)
    variance = _noise(squares, short, long, alpha, edge)
    return int((squares > long * variance * edge).sum())


def _noise(squares: Array, short: int, long: int, alpha: float, edge: float) -> float:
    """Return the variance of the noise with the least free energy, between the bounds that the theorem gives."""
    most = min(int(np.ceil(short / (1 + alpha))) - 1, short) - 1  # components that can stand out
    upper = squares.sum() / (short * long)
    rest = squares[most + 1 :]
    lower = max(rest[0] / (long * edge), rest.mean() / long) if len(rest) else 0.0
    lower = max(lower, 1e-12 * upper)  # a matrix without noise
    if lower >= upper:
        return float(upper)

    def energy(variance: float) -> float:
        x = squares / (long * variance)
        noise, signal = x[x <= edge], x[x > edge]
        shifted = signal - (1 + alpha)
        tau = 0.5 * (shifted + np.sqrt(np.maximum(shifted**2 - 4 * alpha, 0)))
        found = (noise - np.log(np.maximum(noise, 1e-300))).sum() + (signal - tau).sum()
        found += np.log((tau + 1) / signal).sum() + alpha * np.log(tau / alpha + 1).sum()
        return float(found)

    found = minimize_scalar(energy, bounds=(lower, upper), method="bounded", options={"xatol": 1e-6 * upper})
    return float(found.x)
