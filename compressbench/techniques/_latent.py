"""Training a network through a function of its weights, as straight-through estimators need it.

While it lasts, the optimizer moves latent weights of full precision and the forward pass sees what the function makes
of them. Afterwards the layer is a plain one again whose weights are the function's result, baked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.utils import parametrize

from compressbench.core.subject import Subject


@contextmanager
def latent(subject: Subject, functions: Mapping[str, nn.Module]) -> Iterator[None]:
    """Put a function (a module from a tensor to one of its shape) over each named parameter; bake when it ends.

    functions: by parameter name (`conv1.weight`); their own parameters are trained too. Promises about such a
    parameter are kept by its latent weights meanwhile; the function must not undo them. If something is raised, the
    latent weights of that moment are baked all the same, and the network is plain. ValueError for a parameter that two
    layers share: only one of them would see the function.
    """
    every = dict(subject.model.named_parameters(remove_duplicate=False))
    for name in functions:
        for other in (other for other in every if other != name and every[other] is every[name]):
            raise ValueError(f"{name} is {other} too, and only one of the two can be trained so; ignore its layer")
    layers = [subject.model.get_submodule(name.rpartition(".")[0]) for name in functions]
    orders = [(layer, list(layer._parameters)) for layer in layers]
    for name, function in functions.items():
        layer, _, tensor = name.rpartition(".")
        parametrize.register_parametrization(subject.model.get_submodule(layer), tensor, function, unsafe=True)
    subject.rename({name: latent_name(name) for name in functions})
    try:
        yield
    finally:
        subject.rename({latent_name(name): name for name in functions})
        for name in functions:
            layer, _, tensor = name.rpartition(".")
            bake(subject.model.get_submodule(layer), tensor)
        for changed, order in orders:
            changed._parameters.update({parameter: changed._parameters.pop(parameter) for parameter in order})


def latent_name(parameter: str) -> str:
    """Return the name of a parameter's latent weights while `latent` lasts."""
    layer, _, tensor = parameter.rpartition(".")
    return f"{layer}.parametrizations.{tensor}.original"


@torch.no_grad()
def bake(layer: nn.Module, tensor: str) -> None:
    """Make the function's result a plain parameter, the last one of its layer."""
    value = getattr(layer, tensor).detach().clone()
    parametrize.remove_parametrizations(layer, tensor, leave_parametrized=False)
    layer.register_parameter(tensor, nn.Parameter(value))
