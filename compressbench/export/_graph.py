"""Reading and changing the graph of an ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


class Graph:
    """Who makes and who takes a value, and its shape; a size that varies is 0."""

    def __init__(self, model: ModelProto):
        from onnx import shape_inference  # an extra, and half a second

        self.makers = {name: node for node in model.graph.node for name in node.output}
        self.takers: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self.takers.setdefault(name, []).append(node)
        self.weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self.shapes = {
            value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in shape_inference.infer_shapes(model).graph.value_info
        }

    def made_by(self, name: str, operator: str) -> NodeProto | None:
        """Return the node that makes a value if it is such an operator, and only one node takes the value."""
        node = self.makers.get(name)
        return node if node is not None and node.op_type == operator and len(self.takers[name]) == 1 else None

    def next(self, node: NodeProto) -> NodeProto | None:
        """Return the only node that takes the output of this one, else None."""
        takers = self.takers.get(node.output[0], [])
        return takers[0] if len(takers) == 1 else None

    def quantized(self, conv: NodeProto) -> tuple[NodeProto, NodeProto] | None:
        """Return the DequantizeLinear nodes of a convolution's input and weights; None unless both are its own."""
        given, weight = (self.made_by(name, "DequantizeLinear") for name in conv.input[:2])
        if given is None or weight is None or len(self.takers.get(weight.input[0], [])) > 1:
            return None
        return (given, weight) if weight.input[0] in self.weights else None


def insert(model: ModelProto, before: Mapping[str, list[NodeProto]], after: Mapping[str, list[NodeProto]]) -> None:
    """Put nodes in front of and behind the nodes of these names, and forget the shapes that no longer hold."""
    nodes = [n for node in model.graph.node for n in (*before.get(node.name, ()), node, *after.get(node.name, ()))]
    nodes = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
