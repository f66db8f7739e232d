"""A convolution of d x d as one of d x 1 and one of 1 x d: what of its geometry belongs to which."""

from __future__ import annotations

from torch import Tensor, nn

from compressbench.techniques.lowrank._factored import convolution


def obstacle(layer: nn.Module) -> str:
    """Return why a layer cannot become two of one side each, or nothing."""
    if not isinstance(layer, nn.Conv2d):
        return "only a convolution has rows and columns to take apart"
    return "its kernel has one row or one column already" if 1 in layer.kernel_size else ""


def down(layer: nn.Conv2d, weight: Tensor, groups: int) -> nn.Conv2d:
    """Return the convolution along the rows, without bias. weight: (out, in of a group, d)."""
    padding = layer.padding if isinstance(layer.padding, str) else (layer.padding[0], 0)
    how = ((layer.stride[0], 1), padding, (layer.dilation[0], 1), groups, layer.padding_mode)
    return convolution(weight[:, :, :, None], None, *how)


def across(layer: nn.Conv2d, weight: Tensor, groups: int, bias: Tensor | None = None) -> nn.Conv2d:
    """Return the convolution along the columns. weight: (out, in of a group, d)."""
    padding = layer.padding if isinstance(layer.padding, str) else (0, layer.padding[1])
    how = ((1, layer.stride[1]), padding, (1, layer.dilation[1]), groups, layer.padding_mode)
    return convolution(weight[:, :, None, :], bias, *how)
