"""Int8 convolutions of few channels, written so that ONNX Runtime's integer kernels are kept busy.

Its kernels multiply the channels of a pixel several at a time, and the three of a picture leave most of that empty.
Where a convolution has a stride, as many neighbouring pixels of a row as the stride is long become the channels of one
pixel, and the kernel gets narrower by as much; where it is then too wide, its weights are zero. The same products are
summed, so the result is the same to the bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from compressbench.export._graph import Graph, insert

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

MOST_CHANNELS = 4
"""With more of them, the kernels are busy already."""


class _Row(NamedTuple):
    """How a row is cut. pixels: in one, as many as the stride. left, right: padding of the row, in pixels.

    columns: new pixels in a row. before, behind: padding of the convolution over them. kernel: its width.
    """

    pixels: int
    left: int
    right: int
    columns: int
    before: int
    behind: int
    kernel: int


def with_pixels_as_channels(model: ModelProto) -> ModelProto:
    """Return the model with its strided int8 convolutions of few channels over wider pixels. The model is changed."""
    graph = Graph(model)
    before: dict[str, list[NodeProto]] = {}
    for conv in [node for node in model.graph.node if node.op_type == "Conv"]:
        operands = graph.quantized(conv)
        sides = [graph.shapes.get(name, []) for name in (conv.input[0], conv.output[0])]
        if operands is None or any(len(side) != 4 or not side[3] for side in sides):
            continue
        row = _cut(conv, channels=sides[0][1], width=sides[0][3], outputs=sides[1][3])
        if row is None:
            continue
        given, weight = operands
        _widen(conv, row)
        _fold(graph, weight.input[0], row)
        before[given.name] = _pixels_to_channels(model, given, sides[0][1], row)
    if before:
        insert(model, before, {})
    return model


def _cut(conv: NodeProto, channels: int, width: int, outputs: int) -> _Row | None:
    """Return how to cut the rows of a convolution's input; None if it is not one for this."""
    found = {attribute.name: attribute for attribute in conv.attribute}
    sizes = {name: list(attribute.ints) for name, attribute in found.items()}
    if "auto_pad" in found and found["auto_pad"].s not in (b"", b"NOTSET"):
        return None
    if ("group" in found and found["group"].i != 1) or set(sizes.get("dilations", [1])) != {1}:
        return None
    if not {"strides", "pads", "kernel_shape"} <= sizes.keys():
        return None
    stride, padding, kernel = sizes["strides"][1], sizes["pads"][1], sizes["kernel_shape"][1]
    if stride == 1 or not 0 < channels <= MOST_CHANNELS:
        return None
    left = padding % stride
    right = -(left + width) % stride
    columns, before, wide = (left + width + right) // stride, padding // stride, -(-kernel // stride)
    behind = outputs - 1 + wide - columns - before
    return _Row(stride, left, right, columns, before, behind, wide) if behind >= 0 else None


def _widen(conv: NodeProto, row: _Row) -> None:
    changed = {"strides": {1: 1}, "kernel_shape": {1: row.kernel}, "pads": {1: row.before, 3: row.behind}}
    for attribute in conv.attribute:
        for place, size in changed.get(attribute.name, {}).items():
            attribute.ints[place] = size


def _fold(graph: Graph, name: str, row: _Row) -> None:
    """Give a weight (filters, channels, height, width) the shape of the new kernel, in place."""
    import numpy
    from onnx import numpy_helper

    weight = numpy_helper.to_array(graph.weights[name])
    filters, channels, height, width = weight.shape
    wide = numpy.zeros((filters, channels, height, row.kernel * row.pixels), weight.dtype)
    wide[..., :width] = weight
    folded = wide.reshape(filters, channels, height, row.kernel, row.pixels).transpose(0, 4, 1, 2, 3)
    folded = numpy.ascontiguousarray(folded.reshape(filters, row.pixels * channels, height, row.kernel))
    graph.weights[name].CopyFrom(numpy_helper.from_array(folded, name))


def _pixels_to_channels(model: ModelProto, dequantize: NodeProto, channels: int, row: _Row) -> list[NodeProto]:
    """Return what turns (batch, C, H, W) into (batch, C x pixels, H, columns) , padded, before this node."""
    import numpy
    from onnx import helper, numpy_helper

    name, value, zero = dequantize.name, dequantize.input[0], dequantize.input[2]
    constants = {
        f"{name}_margins": [0, 0, row.left, 0, 0, 0, row.right, 0],
        f"{name}_shape": [0, 0, row.columns, row.pixels * channels],  # 0: as it is
    }
    for key, numbers in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(numpy.array(numbers, "int64"), key))
    dequantize.input[0] = f"{name}_wide"
    values = [value, f"{name}_channels_last", f"{name}_padded", f"{name}_pixels", f"{name}_wide"]
    return [
        helper.make_node("Transpose", [values[0]], [values[1]], f"{name}_turn", perm=[0, 2, 3, 1]),
        helper.make_node("Pad", [values[1], f"{name}_margins", zero], [values[2]], f"{name}_pad"),
        helper.make_node("Reshape", [values[2], f"{name}_shape"], [values[3]], f"{name}_reshape"),
        helper.make_node("Transpose", [values[3]], [values[4]], f"{name}_turn_back", perm=[0, 3, 1, 2]),
    ]
