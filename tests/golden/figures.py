"""Figures that say what a result is, held together with a tolerance: the bits differ between processors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

Figures = dict[str, Any]
TOLERANCE = 2e-4
"""Allowed difference of two numbers, as a fraction of the larger one. Roundings of another processor are hundreds of
times smaller; of a weight that falls on the other side of a threshold one tensor's figures move by about this."""


def of_tensor(tensor: Tensor) -> list[float]:
    """Return the mean size of the elements, and their mean under weights from 1 to 3 that hang on place and sign: it
    never cancels out, so that a tolerance has a meaning."""
    flat = tensor.detach().double().flatten()
    if not flat.numel():
        return [0.0, 0.0]
    places = 1 + (torch.arange(flat.numel()) * 0.6180339887498949) % 1.0
    signed = flat.abs() * torch.where(flat > 0, 1.5, 1.0)
    return [_short(flat.abs().mean().item()), _short((signed * places).mean().item())]


def of_model(model: nn.Module) -> Figures:
    """Return the figures of every tensor, by name, and how many elements are not zero."""
    state = model.state_dict()
    found: Figures = {name: of_tensor(tensor) for name, tensor in state.items()}
    return {**found, "nonzero": sum(int(tensor.count_nonzero()) for tensor in state.values())}


def differences(ours: Any, stored: Any, where: str = "") -> list[str]:
    """Return what differs, as `key: stored -> ours`. Whole numbers and words must be equal."""
    if isinstance(ours, dict) and isinstance(stored, dict):
        keys = sorted(ours.keys() | stored.keys())
        return [text for key in keys for text in differences(ours.get(key), stored.get(key), f"{where}{key} ")]
    if isinstance(ours, list) and isinstance(stored, list) and len(ours) == len(stored):
        pairs = enumerate(zip(ours, stored, strict=True))
        return [text for index, (our, other) in pairs for text in differences(our, other, f"{where}{index} ")]
    if isinstance(ours, float) and isinstance(stored, float):
        near = abs(ours - stored) <= TOLERANCE * max(abs(ours), abs(stored)) + 1e-9
    else:
        near = ours == stored and type(ours) is type(stored)
    return [] if near else [f"{where.strip()}: {stored} -> {ours}"]


def _short(value: float) -> float:
    return float(f"{value:.7g}")
