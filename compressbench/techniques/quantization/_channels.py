"""Channels of a layer whose outputs go, through nothing that minds a positive factor, into other layers alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compressbench.core.constraint import Mask
from compressbench.core.format import PRUNED
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs, feed, moved
from compressbench.techniques.quantization._readers import readers_of

PASSED = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.Dropout,
    nn.Dropout2d,
    nn.Identity,
    nn.Flatten,
)
"""Modules f with f(s x) = s f(x) for every s > 0, channel by channel."""
TOLERANCE = 1e-4
"""Of the largest output: if scaling channels here and back there moves outputs by more, something else uses them."""


@dataclass(frozen=True)
class Channels:
    """layer: whose outputs they are. readers: the layers that read them. between: the modules on the way."""

    layer: str
    readers: tuple[str, ...]
    between: tuple[str, ...]


def channels_of(model: nn.Module, names: list[str], example: Inputs) -> tuple[list[Channels], dict[str, str]]:
    """Return the channels that can be scaled, of these layers, in order, and of each other layer why not."""
    followed = readers_of(model, example)
    found, obstacles = [], {}
    for name in names:
        readers, between, why = _followed(model, name, followed)
        channels = Channels(name, tuple(readers), tuple(between))
        why = why or ("" if readers else "no layer reads its channels as they are")
        if not why and not _scalable(model, channels, example):
            why = "something else than layers uses its channels too"
        if why:
            obstacles[name] = why
        else:
            found.append(channels)
    return found, obstacles


def _followed(model: nn.Module, name: str, followed: dict[str, list[str]]) -> tuple[list[str], list[str], str]:
    readers: list[str] = []
    between: list[str] = []
    left, why = list(followed.get(name, [])), ""
    while left and not why:
        reader = left.pop(0)
        module = model.get_submodule(reader)
        if isinstance(module, PASSED):
            between.append(reader)
            left += followed.get(reader, [])
            why = "" if followed.get(reader) else "a function of the network reads its channels"
        elif reading(module, rows_of(model, name)) is not None:
            readers.append(reader)
        else:
            why = f"a {type(module).__name__} reads its channels, {reader}"
    return readers, between, why


def rows_of(model: nn.Module, name: str) -> int:
    """Return how many channels come out of a layer."""
    return len(model.get_submodule(name).get_parameter("weight"))


def reading(layer: nn.Module, channels: int) -> Tensor | None:
    """Return the weights that so many channels are multiplied with as a view, (channels, ...): those of a convolution
    that is depthwise or has no groups, or of a linear layer that reads a whole map of each channel. None of others."""
    if isinstance(layer, nn.Conv2d) and layer.in_channels == channels:
        weight = layer.weight.detach()
        if layer.groups == 1:
            return weight.transpose(0, 1)
        return weight if layer.groups == layer.in_channels == layer.out_channels else None
    if isinstance(layer, nn.Linear) and layer.in_features % channels == 0:
        maps: Tensor = layer.weight.detach().unflatten(1, (channels, -1))
        return maps.transpose(0, 1)
    return None


@torch.no_grad()
def scale(model: nn.Module, channels: Channels, factors: Tensor) -> None:
    """Divide the outputs of the layer by these factors, and multiply the weights that read them."""
    layer = model.get_submodule(channels.layer)
    for parameter in layer.parameters(recurse=False):
        parameter.div_(factors.view(-1, *[1] * (parameter.dim() - 1)))
    for name in channels.readers:
        weights = reading(model.get_submodule(name), len(factors))
        assert weights is not None
        weights.mul_(factors.view(-1, *[1] * (weights.dim() - 1)))


@torch.no_grad()
def _scalable(model: nn.Module, channels: Channels, example: Inputs) -> bool:
    """Return whether outputs stay when channels are scaled by powers of two, which rounds nothing."""
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(0)
    inputs = (
        tuple(_drawn(each, generator) for each in example) if isinstance(example, tuple) else _drawn(example, generator)
    )
    given = moved(inputs, device)
    before = feed(model, given)
    factors = 2.0 ** (torch.arange(rows_of(model, channels.layer), device=device) % 3 - 1)
    scale(model, channels, factors)
    after = feed(model, given)
    scale(model, channels, 1 / factors)
    return bool((after - before).abs().max() <= TOLERANCE * before.abs().max())


def _drawn(example: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(example.shape, generator=generator) if example.is_floating_point() else example


def released(subject: Subject, channels: Channels) -> None:
    """Drop what was promised of weights that are scaled, and how they are stored, but for their zeros."""
    for name in (channels.layer, *channels.readers):
        subject.release(f"{name}.weight", but=(Mask, *PRUNED))
    subject.release(f"{channels.layer}.bias")
