"""Which layers can be factored, and how the factors take a layer's place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from compressbench.core.subject import Subject
from compressbench.layers.chain import Chain
from compressbench.layers.int8 import keep_unfused
from compressbench.techniques._layers import leave_out, select

Obstacle = Callable[[nn.Module], str]
Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


def factorable(subject: Subject, targets: Iterable[str], ignore: Iterable[str], obstacle: Obstacle) -> list[str]:
    """Return the selected layers that can be factored; the others are appended to `subject.skipped`.

    obstacle: returns why a layer cannot, beside what no method can do, or nothing. ValueError as `select` raises it,
    and for a layer that cannot be factored though a selector names it exactly.
    """
    layers = select(subject.model, targets, ignore)
    obstacles = {name: _obstacle(subject, name) or obstacle(layer) for name, layer in layers.items()}
    for name in obstacles:
        if obstacles[name]:
            leave(subject, name, targets, obstacles[name])
    return [name for name in obstacles if not obstacles[name]]


def leave(subject: Subject, name: str, targets: Iterable[str], why: str) -> None:
    """Leave a layer as it is. ValueError if a selector names it exactly."""
    leave_out(subject.skipped, name, targets, "cannot be factored", why)


def grows(weights: int, factored: int, rank: str) -> str:
    """Return that the factors have no fewer weights than the layer, if so, as a reason to leave it (Eq. 14)."""
    if factored < weights:
        return ""
    return f"rank {rank} takes {factored:,} weights, where the layer has {weights:,} (Eq. 14)"


def put(subject: Subject, name: str, parts: Mapping[str, nn.Module]) -> None:
    """Put parts, one after the other, in the place of a layer, in its mode."""
    put_module(subject, name, Chain(parts))


def put_module(subject: Subject, name: str, module: nn.Module) -> None:
    """Put a module in the place of a layer, in its mode."""
    training = subject.model.get_submodule(name).training
    subject.replace_module(name, module.train(training))
    keep_unfused(subject.model)


def linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """Return a linear layer of this weight, float32, and of this very bias."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    return _filled(made, weight, bias)


def convolution(
    weight: Tensor,
    bias: Tensor | None = None,
    stride: tuple[int, ...] = (1, 1),
    padding: tuple[int, ...] | str = (0, 0),
    dilation: tuple[int, ...] = (1, 1),
    groups: int = 1,
    padding_mode: str = "zeros",
) -> nn.Conv2d:
    """Return a convolution of this weight (out, in / groups, height, width), float32, and of this very bias."""
    rows, columns, *kernel = weight.shape
    geometry = (stride, padding, dilation, groups, bias is not None, padding_mode)
    made = nn.Conv2d(columns * groups, rows, tuple(kernel), *geometry, device="meta")  # type: ignore[arg-type]
    return _filled(made, weight, bias)


def pointwise(weight: Tensor, bias: Tensor | None = None, groups: int = 1) -> nn.Conv2d:
    """Return a convolution of 1 x 1 of this weight, (out, in / groups)."""
    return convolution(weight[:, :, None, None], bias, groups=groups)


def without_bias(layer: nn.Conv2d | nn.Linear, weight: Tensor) -> nn.Conv2d | nn.Linear:
    """Return a layer like this one, with another weight and no bias."""
    if isinstance(layer, nn.Linear):
        return linear(weight)
    return convolution(weight, None, *_geometry(layer))


def _geometry(layer: nn.Conv2d) -> tuple[Any, ...]:
    return layer.stride, layer.padding, layer.dilation, layer.groups, layer.padding_mode


def _filled(layer: Layer, weight: Tensor, bias: Tensor | None) -> Layer:
    layer.weight = nn.Parameter(weight.detach().float().contiguous())
    if bias is not None:
        layer.bias = bias if isinstance(bias, nn.Parameter) else nn.Parameter(bias.detach().float())
    return layer


def _obstacle(subject: Subject, name: str) -> str:
    layer, weight = subject.model.get_submodule(name), f"{name}.weight"
    if type(layer) not in (nn.Conv2d, nn.Linear):
        return f"it is a {type(layer).__name__}; Conv2d and Linear can be factored"
    others = [
        other
        for other, parameter in subject.model.named_parameters(remove_duplicate=False)
        if parameter is layer.weight and other != weight
    ]
    if others:
        return f"its weight is also {others[0]}"
    promised = any(getattr(each, "parameter", None) == weight for each in subject.constraints)
    if promised or weight in subject.formats:
        return "promises about its weights, or how they are stored, would be lost; factor before"
    return ""


def of_groups(layer: nn.Conv2d | nn.Linear) -> int:
    return layer.groups if isinstance(layer, nn.Conv2d) else 1


def matrices(layer: nn.Conv2d | nn.Linear) -> Tensor:
    """Return a layer's weights as matrices, (groups, filters of a group, channels times positions)."""
    weight: Tensor = layer.weight.detach()
    return weight.reshape(of_groups(layer), -1, weight[0].numel())


@torch.no_grad()
def two_factors(layer: nn.Conv2d | nn.Linear, left: Tensor, right: Tensor, bias: Tensor | None) -> dict[str, nn.Module]:
    """Return a layer of fewer rows, `reduce`, and one that makes all of these again, `expand`.

    left: (groups, filters of a group, rank). right: (groups, rank, channels times positions). The convolution that
    reduces has the layer's own kernel; the other one is of 1 x 1.
    """
    if isinstance(layer, nn.Linear):
        return {"reduce": linear(right[0]), "expand": linear(left[0], bias)}
    first = right.flatten(0, 1).unflatten(1, layer.weight.shape[1:])
    return {
        "reduce": convolution(first, None, *_geometry(layer)),
        "expand": pointwise(left.flatten(0, 1), bias, layer.groups),
    }
