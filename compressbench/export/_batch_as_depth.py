"""Int8 convolutions with few output positions, written so that ONNX Runtime's integer kernels are kept busy.

Its kernels take one image at a time and read all weights again for every six output positions of it; an output of
2 x 2 positions leaves a third of each kernel empty. Written as a three-dimensional convolution of one image that has
the batch for its depth, with a kernel one deep, the same products are summed in the same order, six positions at a
time whatever image they belong to. Weights, scales and MACs stay what they are. fp32 convolutions are left alone: ONNX
Runtime has its fastest kernels for two dimensions there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compressbench.export._graph import Graph, insert

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

MOST_POSITIONS = 6
"""What a kernel computes at once; with more of them, too little of it is left empty to matter."""
PASSING = {"MaxPool", "Reshape", "Flatten"}
"""Operators that commute with rounding; the QuantizeLinear behind them can stand before them as well."""


def with_batch_as_depth(model: ModelProto) -> ModelProto:
    """Return the model with its small int8 convolutions in three dimensions. The model itself is changed."""
    import numpy
    from onnx import numpy_helper

    graph = Graph(model)
    before: dict[str, list[NodeProto]] = {}
    after: dict[str, list[NodeProto]] = {}
    for conv in [node for node in model.graph.node if node.op_type == "Conv"]:
        operands, shape = graph.quantized(conv), graph.shapes.get(conv.output[0], [])
        if operands is None or len(shape) != 4 or not 0 < shape[2] * shape[3] <= MOST_POSITIONS:
            continue
        given, weight = operands
        last = conv
        if (follower := graph.next(conv)) is not None and follower.op_type == "Relu":
            last = follower
        rounding = _rounding(graph, last)
        if rounding is None:
            continue
        graph.weights[weight.input[0]].dims.insert(2, 1)
        _deepen(conv)
        before[given.name] = _into_one_image(given)
        after[last.name] = _out_of_one_image(last, rounding, graph.takers[last.output[0]])
    if before:
        insert(model, before, after)
        model.graph.initializer.append(numpy_helper.from_array(numpy.zeros(1, "int64"), "depth_axis"))
    return model


def _rounding(graph: Graph, node: NodeProto) -> NodeProto | None:
    """Return the QuantizeLinear that the output of this node reaches unchanged but for its order."""
    after = graph.next(node)
    while after is not None and after.op_type in PASSING:
        after = graph.next(after)
    return after if after is not None and after.op_type == "QuantizeLinear" else None


def _deepen(conv: NodeProto) -> None:
    for attribute in conv.attribute:
        sizes = list(attribute.ints)
        if attribute.name == "pads":
            sizes = [0, *sizes[:2], 0, *sizes[2:]]
        elif attribute.name in ("kernel_shape", "strides", "dilations"):
            sizes = [1, *sizes]
        del attribute.ints[:]
        attribute.ints.extend(sizes)


def _into_one_image(dequantize: NodeProto) -> list[NodeProto]:
    """Return what turns (batch, C, H, W) into (1, C, batch, H, W) before this node."""
    from onnx import helper

    name, value = dequantize.name, dequantize.input[0]
    dequantize.input[0] = f"{name}_one_image"
    return [
        helper.make_node("Transpose", [value], [f"{name}_turned"], f"{name}_turn", perm=[1, 0, 2, 3]),
        helper.make_node("Unsqueeze", [f"{name}_turned", "depth_axis"], [f"{name}_one_image"], f"{name}_unsqueeze"),
    ]


def _out_of_one_image(last: NodeProto, rounding: NodeProto, takers: list[NodeProto]) -> list[NodeProto]:
    """Return what rounds the output of this node and turns it into (batch, C, H, W) again, for the node behind."""
    from onnx import helper

    name, scale = last.name, list(rounding.input[1:])
    for taker in takers:
        taker.input[0] = f"{name}_images"
    values = [last.output[0], f"{name}_rounded", f"{name}_squeezed", f"{name}_turned", f"{name}_images"]
    return [
        helper.make_node("QuantizeLinear", [values[0], *scale], [values[1]], f"{name}_quantize"),
        helper.make_node("Squeeze", [values[1], "depth_axis"], [values[2]], f"{name}_squeeze"),
        helper.make_node("Transpose", [values[2]], [values[3]], f"{name}_turn", perm=[1, 0, 2, 3]),
        helper.make_node("DequantizeLinear", [values[3], *scale], [values[4]], f"{name}_dequantize"),
    ]
