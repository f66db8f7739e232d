"""Strided int8 convolutions of few channels over wider pixels give what they gave, bit for bit."""

import numpy
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compressbench.export._pixels_as_channels import with_pixels_as_channels
from tests.export.test_batch_as_depth import answers, kernel, rounded


def network(
    side: int, width: int, stride: int, padding: int, channels: int = 3, weight_type: str = "int8"
) -> onnx.ModelProto:
    """Return a convolution of 5 filters behind the rounding of its input, whose zero is 7."""
    weight = numpy.random.default_rng(0).integers(-99, 99, (5, channels, width, width))
    made = {"scale": numpy.float32(0.05), "zero": numpy.uint8(7), "steps": numpy.linspace(0.0002, 0.001, 5, dtype="f")}
    made |= {"zeros": numpy.zeros(5, "int8"), "bias": numpy.linspace(3, 7, 5, dtype="f")}
    made["weight"] = weight.astype(weight_type)
    nodes = rounded("images", "input")
    if weight_type == "int8":
        nodes.append(helper.make_node("DequantizeLinear", ["weight", "steps", "zeros"], ["floats"], "floats", axis=0))
    operands = ["input", "floats" if weight_type == "int8" else "weight", "bias"]
    sizes = {"kernel_shape": [width] * 2, "pads": [padding] * 4, "strides": [stride] * 2}
    nodes += [helper.make_node("Conv", operands, ["sums"], "conv", **sizes), *rounded("sums", "logits")]
    out = (side + 2 * padding - width) // stride + 1
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", channels, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 5, out, out])],
        [numpy_helper.from_array(numpy.asarray(values), name) for name, values in made.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize(
    ("side", "width", "stride", "padding", "narrow"),
    [(32, 11, 4, 5, 3), (32, 7, 2, 3, 4), (28, 5, 2, 2, 3), (31, 3, 2, 1, 2), (32, 3, 2, 0, 2), (33, 8, 4, 2, 2)],
)
def test_the_same_bits_come_out_for_any_batch(side: int, width: int, stride: int, padding: int, narrow: int) -> None:
    changed = with_pixels_as_channels(network(side, width, stride, padding))
    onnx.checker.check_model(changed, full_check=True)
    assert kernel(changed) == [width, narrow]
    for batch in (1, 3):
        before = answers(network(side, width, stride, padding), batch, side, 3)
        assert len(numpy.unique(before)) > 20
        assert numpy.array_equal(answers(changed, batch, side, 3), before)


@pytest.mark.parametrize(
    "changes", [{"stride": 1}, {"channels": 8}, {"weight_type": "float32"}], ids=["no stride", "channels", "floats"]
)
def test_what_would_not_gain_is_left_alone(changes: dict[str, int]) -> None:
    sizes = {"side": 16, "width": 3, "stride": 2, "padding": 1} | changes
    assert with_pixels_as_channels(network(**sizes)) == network(**sizes)
