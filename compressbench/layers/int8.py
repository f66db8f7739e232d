"""Convolution and linear layers that compute with 8-bit integers.

Weights are int8 with one scale for each output channel, inputs are quantized to uint8 with one scale and zero point as
they come in, and sums are 32-bit integers (Jacob et al. 2018). There are three ways of computing the same numbers:
integer kernels (oneDNN, on a processor whose 8-bit products do not saturate), plain floats that gradients can follow,
and, while a network is exported to ONNX, QuantizeLinear and DequantizeLinear nodes around a float operator, which
runtimes fuse into integer kernels of their own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

INTEGERS = torch.cpu._is_vnni_supported() and hasattr(torch.ops.onednn, "qconv2d_pointwise")
"""Whether this machine computes int8 exactly: older instructions saturate sums of two products at 16 bits."""

Size = int | tuple[int, int]


class Packed(NamedTuple):
    """What integer kernels take. state: which tensors and input it was made for; `sources` keeps these tensors, so that
    none of their identities is given to another one."""

    state: tuple[Any, ...]
    sources: tuple[Tensor, ...]
    input_scale: float
    input_zero_point: int
    weight: Tensor
    weight_zero_points: Tensor


class Int8Conv2d(nn.Conv2d):
    """A convolution of uint8 inputs with int8 weights; floats (n, C, H, W) come in and go out.

    Buffers: `weight` int8 (filters, C / groups, kH, kW), `weight_scale` (filters,), `input_scale` and
    `input_zero_point` (uint8), scalars. With `quantized_output`, the output is rounded to 256 values too
    (`output_scale`, `output_zero_point`), so that a runtime keeps it as integers where no int8 layer follows.
    `bias` is a parameter of floats. Padding is with zeros.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        quantized_output: bool = False,
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        _hold_integers(self, quantized_output)

    def forward(self, input: Tensor) -> Tensor:
        geometry: Any = (self.stride, self.padding, self.dilation, self.groups)
        if not _runs_integers(input):
            output = functional.conv2d(_quantized_input(self, input), _plain_weight(self), self.bias, *geometry)
            return _quantized_output(self, output)
        output = torch.ops.onednn.qconv2d_pointwise(
            *(*_integers(self, input), self.bias, *geometry), *(1.0, 0, torch.float32, "none", [], None)
        )
        return _quantized_output(self, output)

    def __getstate__(self) -> dict[str, Any]:
        return _without_packed(self)


class Int8Linear(nn.Linear):
    """A linear layer of uint8 inputs with int8 weights; floats (..., in_features) come in and go out.

    Buffers as in `Int8Conv2d`; `weight` is (out_features, in_features).
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, quantized_output: bool = False):
        super().__init__(in_features, out_features, bias)
        _hold_integers(self, quantized_output)

    def forward(self, input: Tensor) -> Tensor:
        if not _runs_integers(input):
            output = functional.linear(_quantized_input(self, input), _plain_weight(self), self.bias)
            return _quantized_output(self, output)
        output = torch.ops.onednn.qlinear_pointwise(
            *(*_integers(self, input), self.bias), *(1.0, 0, torch.float32, "none", [], "")
        )
        return _quantized_output(self, output)

    def __getstate__(self) -> dict[str, Any]:
        return _without_packed(self)


def keep_unfused(model: nn.Module) -> None:
    """Keep torch from computing a TransformerEncoderLayer in one kernel where another layer is in it, in place.

    That kernel takes the weights off its linear layers, as floats. It is not used where a layer has a hook. An encoder
    looks for them too before it leaves out padding, which it then computes like the rest.
    """
    for block in model.modules():
        if isinstance(block, nn.TransformerEncoder):
            block.use_nested_tensor &= not any(map(_others_in, block.layers))
        for layer in _others_in(block):
            if not layer._forward_pre_hooks:
                layer.register_forward_pre_hook(_as_it_is)


def _others_in(block: nn.Module) -> list[nn.Module]:
    """Return the modules that stand in the place of the linear layers of a TransformerEncoderLayer."""
    layers = (block.linear1, block.linear2) if isinstance(block, nn.TransformerEncoderLayer) else ()
    return [layer for layer in layers if type(layer) is not nn.Linear]


def _as_it_is(layer: nn.Module, given: Any) -> None:
    """Change nothing."""


def _hold_integers(layer: nn.Conv2d | nn.Linear, quantized_output: bool) -> None:
    """Put buffers in the place of the weight; they are worth nothing until they are loaded or filled."""
    shape = layer.weight.shape
    del layer.weight
    layer.quantized_output = quantized_output  # type: ignore[assignment]
    layer.register_buffer("weight", torch.zeros(shape, dtype=torch.int8))
    layer.register_buffer("weight_scale", torch.ones(shape[0]))
    for side in ("input", "output") if quantized_output else ("input",):
        layer.register_buffer(f"{side}_scale", torch.ones(()))
        layer.register_buffer(f"{side}_zero_point", torch.zeros((), dtype=torch.uint8))


def _runs_integers(input: Tensor) -> bool:
    """Return whether integer kernels can be used here; they have no gradient."""
    return INTEGERS and input.device.type == "cpu" and not torch.is_grad_enabled() and not torch.compiler.is_compiling()


def _quantized_input(layer: nn.Module, input: Tensor) -> Tensor:
    return _rounded(input, layer.get_buffer("input_scale"), layer.get_buffer("input_zero_point"))


def _quantized_output(layer: nn.Module, output: Tensor) -> Tensor:
    if not layer.quantized_output:
        return output
    return _rounded(output, layer.get_buffer("output_scale"), layer.get_buffer("output_zero_point"))


def _rounded(values: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """Return floats rounded to the 256 values that uint8 stands for."""
    values = values.float()
    if torch.onnx.is_in_onnx_export():
        whole = _onnx("QuantizeLinear", (values, scale, zero_point), torch.uint8)
        return _onnx("DequantizeLinear", (whole, scale, zero_point), torch.float32)
    return torch.fake_quantize_per_tensor_affine(values, scale, zero_point.int(), 0, 255)


def _plain_weight(layer: nn.Module) -> Tensor:
    """Return the weights as the floats they stand for."""
    weight, scale = layer.get_buffer("weight"), layer.get_buffer("weight_scale")
    if torch.onnx.is_in_onnx_export():
        return _onnx("DequantizeLinear", (weight, scale, torch.zeros_like(scale, dtype=torch.int8)), torch.float32)
    return weight * scale.view(-1, *[1] * (weight.dim() - 1))


def _onnx(operator: str, inputs: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
    return torch.onnx.ops.symbolic(operator, inputs, {"axis": 0}, dtype=dtype, shape=inputs[0].shape)


def _integers(layer: nn.Module, input: Tensor) -> tuple[Tensor | float | int, ...]:
    """Return the first arguments of oneDNN's operators: the input as uint8, and the weights."""
    packed = _packed(layer, input.shape)
    scale, zero_point = packed.input_scale, packed.input_zero_point
    levels = input.float().mul(1 / scale).round_().clamp_(-zero_point, 255 - zero_point).add_(zero_point)
    scales = layer.get_buffer("weight_scale")
    return levels.to(torch.uint8), scale, zero_point, packed.weight, scales, packed.weight_zero_points


def _packed(layer: Any, shape: torch.Size) -> Packed:
    """Return the weights in the kernels' own layout, made again when a buffer or the shape of an image has changed.

    The layout depends on the input's shape; weights in another one would be laid out anew at every call.
    """
    sources = (layer.weight, layer.weight_scale, layer.input_scale, layer.input_zero_point)
    versions = tuple((id(tensor), None if tensor.is_inference() else tensor._version) for tensor in sources)
    state = (*versions, shape[1:])
    known: Packed | None = layer.__dict__.get("_packed")
    if known is not None and known.state == state:
        return known
    scale, zero_point = float(layer.input_scale), int(layer.input_zero_point)
    weight = layer.weight.contiguous()
    if isinstance(layer, nn.Linear):
        packed = torch.ops.onednn.qlinear_prepack(weight, list(shape))
    else:
        geometry = (layer.stride, layer.padding, layer.dilation, layer.groups)
        packed = torch.ops.onednn.qconv_prepack(weight, layer.weight_scale, scale, zero_point, *geometry, list(shape))
    zeros = torch.zeros(len(weight), dtype=torch.int32)
    made = layer.__dict__["_packed"] = Packed(state, sources, scale, zero_point, packed, zeros)
    return made


def _without_packed(layer: nn.Module) -> dict[str, Any]:
    """Return what a copy or a pickle takes along: the kernels' layout cannot be copied, and is made again."""
    return {name: value for name, value in layer.__dict__.items() if name != "_packed"}
