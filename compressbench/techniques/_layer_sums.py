"""What a layer's inputs say about its weights: sums of s s^T and of s o^T over calibration examples.

The error of a layer's output, the sum of |o - W s|^2, is a quadratic form in W that hangs on the inputs s and the
wanted outputs o through these two sums alone. So whoever changes weights and wants the output to stay needs nothing
else: Optimal Brain Surgeon and all that came of it, greedy selection of channels, error correction of code words.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.context import Context
from compressbench.core.task import Inputs, feed, moved
from compressbench.techniques._layers import is_convolution, uncalled

CALIBRATION_BATCH = 64


@dataclass(frozen=True)
class LayerSums:
    """inputs: sum of s s^T, (groups, columns, columns). products: sum of s o^T, (groups, columns, rows of a group).

    count: how many s there were: examples, times the places of a convolution or a sequence. Columns are those of
    `weight.flatten(1)`: input channels of a group, then kernel positions. A layer that is no grouped convolution is one
    group.
    """

    inputs: Tensor
    products: Tensor
    count: int


def obstacle(layer: nn.Module) -> str:
    """Return why a layer has no such sums, or nothing."""
    if isinstance(layer, nn.Linear):
        return uncalled(layer)
    if not is_convolution(layer):
        return f"it is a {type(layer).__name__}, neither linear nor a convolution"
    if not isinstance(layer, nn.Conv2d) or layer.padding_mode != "zeros":
        return "it is no ordinary convolution of images, with zeros around them"
    if isinstance(layer.padding, str):
        return f"its padding is {layer.padding!r}; only numbers are supported"
    return ""


@torch.no_grad()
def layer_sums(
    model: nn.Module, name: str, context: Context, examples: int, original: nn.Module | None = None
) -> LayerSums:
    """Return the sums over the layer's inputs s in `model` and its outputs o in `original`, without the bias.

    examples: training examples, rounded up to whole batches. original: None is `model` itself: the outputs as they are.
    Both networks are run in the mode they are in. ValueError if a network does not use the layer.
    """
    layer = model.get_submodule(name)
    aims = (original or model).get_submodule(name).get_parameter("weight").flatten(1)
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    rows, columns = len(aims) // groups, aims.shape[1]
    inputs, products = aims.new_zeros(groups, columns, columns), aims.new_zeros(groups, columns, rows)
    count = 0
    for given, _ in context.calibration(CALIBRATION_BATCH, -(-examples // CALIBRATION_BATCH)):
        given = moved(given, aims.device)
        ours = columns_of(model, name, given)
        theirs = ours if original is None else columns_of(original, name, given)
        for group, weight in enumerate(aims.split(rows)):
            inputs[group].addmm_(ours[group].T, ours[group])
            products[group].addmm_(ours[group].T, theirs[group] @ weight.T)
        count += ours.shape[1]
    return LayerSums(inputs, products, count)


class _Reached(Exception):  # noqa: N818
    """Carries what a layer is given, and ends the forward pass there."""

    def __init__(self, given: Tensor):
        self.given = given


def columns_of(model: nn.Module, name: str, inputs: Inputs) -> Tensor:
    """Return what a layer's weights are multiplied with, (groups, examples and places, columns).

    ValueError if the network does not use the layer.
    """
    layer = model.get_submodule(name)

    def stop(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        raise _Reached(arguments[0])

    hook, shortcuts = layer.register_forward_pre_hook(stop), torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # around layers, or with tensors of rows of several lengths
    try:
        feed(model, inputs)
    except _Reached as reached:
        given = reached.given
    else:
        raise ValueError(f"the network has {name}, but does not use it, so nothing is known of its inputs")
    finally:
        torch.backends.mha.set_fastpath_enabled(shortcuts)
        hook.remove()
    if not isinstance(layer, nn.Conv2d):
        return given.flatten(0, -2)[None]
    assert not isinstance(layer.padding, str)
    patches: Tensor = functional.unfold(given, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    columns: Tensor = patches.unflatten(1, (layer.groups, -1)).permute(1, 0, 3, 2).flatten(1, 2)
    return columns


def inverse_cholesky(inputs: Tensor, damping: float) -> Tensor:
    """Return the upper triangular U with U^T U = (H + damping mean(diagonal of H) I)^-1, float64, for each H of inputs.

    U[i, i]^2 is the diagonal of the inverse of what is left of H when rows and columns before i are gone, and U[i, i:]
    / U[i, i] how an error of weight i is made up for by those behind it (Frantar et al. 2023, "GPTQ", section 3.3).
    inputs: (groups, columns, columns). damping: more than 0, unless every H is positive definite. Inputs that are
    always zero say nothing of their weights, and get a diagonal of one. ValueError if an H is not positive definite.
    """
    hessian = inputs.double()
    diagonal = hessian.diagonal(dim1=1, dim2=2)
    extra = damping * diagonal.mean(1, keepdim=True) + (diagonal == 0)
    hessian = hessian + torch.diag_embed(extra.expand_as(diagonal))
    lower, fault = torch.linalg.cholesky_ex(hessian)
    if bool(fault.any()):
        raise ValueError(f"the inputs of a layer do not determine its weights with damping {damping:g}; take more")
    upper: Tensor = torch.linalg.cholesky(torch.cholesky_inverse(lower)).mH
    return upper
