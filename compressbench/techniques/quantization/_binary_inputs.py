"""Layers given the sign of their input, as BNN and XNOR-Net need them: which modules are replaced by what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.task import feed, random_like
from compressbench.layers.binary import BinaryConv2d, BinaryLinear
from compressbench.techniques._layers import WEIGHTED, kind_of, select, usable


class _Step(NamedTuple):
    """One call of a module without children. lowest, highest: of its input."""

    name: str
    module: nn.Module
    lowest: float
    highest: float


def binarize_inputs(subject: Subject, context: Context, targets: Iterable[str], ignore: Iterable[str]) -> list[str]:
    """Replace the selected convolutions and linear layers by binary ones; return the names of their weights.

    The first layer that runs keeps its real input. What stands between the layers is found from the order in which
    modules run: a layer that no batch norm follows normalises its own output; in front of a binary input ReLU, whose
    sign would say nothing, and dropout, whose zeros would have the sign 1, are taken out. (The papers' hard tanh only
    bounds the gradient; the sign does so itself.)
    Raises ValueError for a named layer that cannot be binary, if none can, and for a binary input that is not
    normalised (the layer before it is kept real, without batch norm) or is never negative.
    """
    targets, model = list(targets), subject.model
    steps = _steps(model, context)
    chosen = _binarizable(subject, {step.name for step in steps}, targets, ignore)
    places = [place for place, step in enumerate(steps) if kind_of(step.module) in WEIGHTED]
    normalized = True  # what the place before has made; images are
    for place, following in zip(places, [*places[1:], len(steps)], strict=True):
        name, module, after = steps[place].name, steps[place].module, steps[place + 1 : following]
        has_norm = any(isinstance(step.module, _BatchNorm) for step in after)
        if name in chosen:
            assert isinstance(module, nn.Conv2d | nn.Linear)
            if not normalized:
                raise ValueError(
                    f"{name} would take the sign of what the layer before it makes, which is kept real and has no "
                    "batch norm after it; make that layer binary too, or use a network with batch norm"
                )
            subject.replace_module(name, _binary(module, place != places[0], not has_norm))
        normalized = has_norm or name in chosen
        if following < len(steps) and steps[following].name in chosen:
            _open_the_way(subject, after)
    for step in _steps(model, context):
        if getattr(step.module, "binary_input", False) and step.lowest >= 0 < step.highest:
            raise ValueError(
                f"the input of {step.name} is never negative, so its sign says nothing; something before it that is no "
                "module of its own, or no ReLU, makes it so"
            )
    return [f"{name}.weight" for name in chosen]


def _binarizable(subject: Subject, ran: set[str], targets: list[str], ignore: Iterable[str]) -> list[str]:
    """Return the names of the layers to be replaced; the others of the selected ones are skipped."""
    obstacles = {}
    for name, layer in select(subject.model, targets, ignore).items():
        obstacles[name] = "" if name in ran else "it takes no part in a forward pass"
        if type(layer) not in (nn.Conv2d, nn.Linear):
            obstacles[name] = f"there is no binary {type(layer).__name__}"
    return usable(subject.skipped, obstacles, targets, "cannot be binary")


def _open_the_way(subject: Subject, between: Iterable[_Step]) -> None:
    """Take out what would spoil the signs of a layer's input."""
    for step in between:
        if isinstance(step.module, nn.ReLU | nn.ReLU6 | _DropoutNd):
            subject.replace_module(step.name, nn.Identity())


def _binary(layer: nn.Conv2d | nn.Linear, binary_input: bool, normalize: bool) -> nn.Module:
    """Return the binary layer that has the weights, the very parameters, of a plain one."""
    has_bias = layer.bias is not None
    new: BinaryConv2d | BinaryLinear
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are not used
        if isinstance(layer, nn.Conv2d):
            size, channels = (layer.kernel_size, layer.stride, layer.padding, layer.dilation), layer.in_channels
            rest = (layer.groups, has_bias, layer.padding_mode, binary_input, normalize)
            new = BinaryConv2d(channels, layer.out_channels, *size, *rest)  # type: ignore[arg-type]
        else:
            new = BinaryLinear(layer.in_features, layer.out_features, has_bias, binary_input, normalize)
    new.to(layer.weight.device)
    new.weight, new.bias = layer.weight, layer.bias
    return new


@torch.no_grad()
def _steps(model: nn.Module, context: Context) -> list[_Step]:
    """Return the calls of modules without children, in order, for eight images of noise."""
    found: list[_Step] = []

    def see(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if inputs and isinstance(inputs[0], Tensor):
                found.append(_Step(name, module, float(inputs[0].min()), float(inputs[0].max())))

        return hook

    leaves = {name: module for name, module in model.named_modules() if not list(module.children())}
    handles = [module.register_forward_pre_hook(see(name)) for name, module in leaves.items()]
    try:
        model.eval()
        feed(model, random_like(context.example, 8, context.generator))
    finally:
        for handle in handles:
            handle.remove()
    return found
