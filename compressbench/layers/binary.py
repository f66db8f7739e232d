"""Layers whose input is a sign (Hubara et al. 2016; Rastegari et al. 2016).

What makes their weights binary is not in here: a technique bakes it into them, and the layers use their weights as they
are, so that a decoded network computes to the bit what was measured.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.layers.straight_through import straight_through

Numbers = int | tuple[int, int]


class BinaryConv2d(nn.Conv2d):
    """A convolution of the sign of its input.

    binary_input: the input x becomes 1 where it is 0 or more, else -1, with the gradient 1{|x| <= 1}; padding stays
    zero, as in the papers' code. normalize: the output is batch-normalised by parameters of this layer (`norm_weight`,
    `norm_bias`, running `norm_mean` and `norm_variance`), where the network has no batch norm of its own.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Numbers,
        stride: Numbers = 1,
        padding: Numbers | str = 0,
        dilation: Numbers = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        binary_input: bool = True,
        normalize: bool = False,
    ):
        numbers = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        super().__init__(*numbers, bias, padding_mode)  # type: ignore[arg-type]
        self.binary_input = binary_input
        self.normalize = normalize
        if normalize:
            _add_norm(self, out_channels)

    def forward(self, input: Tensor) -> Tensor:
        output = super().forward(binary(input) if self.binary_input else input)
        return _normalized(self, output) if self.normalize else output

    def extra_repr(self) -> str:
        plain: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{plain}, binary_input={self.binary_input}, normalize={self.normalize}"


class BinaryLinear(nn.Linear):
    """A linear layer of the sign of its input; `binary_input` and `normalize` as in `BinaryConv2d`."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        binary_input: bool = True,
        normalize: bool = False,
    ):
        super().__init__(in_features, out_features, bias)
        self.binary_input = binary_input
        self.normalize = normalize
        if normalize:
            _add_norm(self, out_features)

    def forward(self, input: Tensor) -> Tensor:
        output = super().forward(binary(input) if self.binary_input else input)
        if self.normalize:  # as many rows as there are vectors
            output = _normalized(self, output.flatten(0, -2)).view_as(output)
        return output

    def extra_repr(self) -> str:
        plain: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{plain}, binary_input={self.binary_input}, normalize={self.normalize}"


def binary(values: Tensor) -> Tensor:
    """Return the sign of each value, 1 for 0, with the gradient of a hard tanh: 1{|x| <= 1} (Hubara et al., Eq. 4)."""
    signs = torch.ones_like(values).copysign(values.detach() + 0)  # a negative zero is a zero, too
    return straight_through(values.clamp(-1, 1), signs)


def _add_norm(layer: nn.Module, channels: int) -> None:
    layer.norm_weight = nn.Parameter(torch.ones(channels))
    layer.norm_bias = nn.Parameter(torch.zeros(channels))
    layer.register_buffer("norm_mean", torch.zeros(channels))
    layer.register_buffer("norm_variance", torch.ones(channels))


def _normalized(layer: nn.Module, output: Tensor) -> Tensor:
    mean, variance = layer.get_buffer("norm_mean"), layer.get_buffer("norm_variance")
    scale, shift = layer.get_parameter("norm_weight"), layer.get_parameter("norm_bias")
    return functional.batch_norm(output, mean, variance, scale, shift, training=layer.training)
