"""Small int8 convolutions in three dimensions give what they gave in two, bit for bit."""

import numpy
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from compressbench.export._batch_as_depth import with_batch_as_depth


def rounded(value: str, name: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("QuantizeLinear", [value, "scale", "zero"], [f"{name}_whole"], f"{name}_quantize"),
        helper.make_node("DequantizeLinear", [f"{name}_whole", "scale", "zero"], [name], f"{name}_dequantize"),
    ]


def network(side: int, weight_type: str = "int8") -> onnx.ModelProto:
    """Return a 3 x 3 convolution of 16 filters, its rectifier, pool and rounding."""
    weight = numpy.random.default_rng(0).integers(-9, 10, (16, 8, 3, 3))
    made = {"scale": numpy.float32(0.05), "zero": numpy.uint8(0), "steps": numpy.full(16, 0.03, "float32")}
    made |= {"zeros": numpy.zeros(16, "int8"), "bias": numpy.linspace(-16, 1, 16, dtype="float32")}
    made |= {"weight": weight.astype(weight_type)}
    nodes = rounded("images", "input")
    if weight_type == "int8":
        nodes.append(helper.make_node("DequantizeLinear", ["weight", "steps", "zeros"], ["floats"], "floats", axis=0))
    operands = ["input", "floats" if weight_type == "int8" else "weight", "bias"]
    nodes += [
        helper.make_node("Conv", operands, ["sums"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]),
        helper.make_node("Relu", ["sums"], ["positive"], "relu"),
        helper.make_node("MaxPool", ["positive"], ["pooled"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        *rounded("pooled", "logits"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 8, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 16, side // 2, side // 2])],
        [numpy_helper.from_array(numpy.asarray(values), name) for name, values in made.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def answers(model: onnx.ModelProto, batch: int, side: int, channels: int = 8) -> numpy.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    images = numpy.random.default_rng(1).random((batch, channels, side, side), "float32") * 12
    return session.run(None, {"images": images})[0]


def kernel(model: onnx.ModelProto) -> list[int]:
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    return next(list(attribute.ints) for attribute in conv.attribute if attribute.name == "kernel_shape")


def test_a_convolution_with_four_positions_gives_the_same_bits_for_any_batch():
    changed = with_batch_as_depth(network(2))
    onnx.checker.check_model(changed, full_check=True)
    assert kernel(changed) == [1, 3, 3]
    for batch in (1, 7):
        before = answers(network(2), batch, 2)
        assert (before > 0).any()
        assert (before == 0).any()
        assert numpy.array_equal(answers(changed, batch, 2), before)


@pytest.mark.parametrize(("side", "weight_type"), [(4, "int8"), (2, "float32")])
def test_large_outputs_and_floats_are_left_alone(side, weight_type):
    assert with_batch_as_depth(network(side, weight_type)) == network(side, weight_type)
