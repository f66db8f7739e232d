"""Scores of a layer's filters that its weights alone decide."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def l1_norms(layer: nn.Module) -> Tensor:
    """Return the sum of the absolute weights of each filter, (filters,)."""
    return _filters(layer).abs().sum(1)


def l2_norms(layer: nn.Module) -> Tensor:
    """Return the L2 norm of the weights of each filter, (filters,)."""
    norms: Tensor = torch.linalg.vector_norm(_filters(layer), dim=1)
    return norms


def distances(layer: nn.Module, among: Tensor | None = None) -> Tensor:
    """Return the sum of each filter's Euclidean distances to all others.

    among: those to look at at all, boolean, (filters,); the sums are of these.
    """
    filters = _filters(layer) if among is None else _filters(layer)[among]
    between: Tensor = torch.cdist(filters, filters, compute_mode="donot_use_mm_for_euclid_dist")
    return between.sum(1)


def _filters(layer: nn.Module) -> Tensor:
    weight: Tensor = layer.get_parameter("weight").detach()
    return weight.flatten(1)
