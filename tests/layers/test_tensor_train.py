"""A linear layer as a train of small tensors: what it computes, costs, and lets a file and later stages do."""

import pytest
import torch
from torch import Tensor, nn

from compressbench.export.onnx_model import to_onnx
from compressbench.layers.tensor_train import MOST_MODES, TensorTrainLinear
from compressbench.metrics.macs import mac_counts
from compressbench.metrics.parameters import parameter_counts
from compressbench.packing.packed_file import read, write
from compressbench.techniques.quantization.ptq_int8 import PostTrainingInt8
from tests.export.test_onnx_model import answers
from tests.techniques.lending import StageContext, seeded, subject_of


def train(bias: bool = True) -> TensorTrainLinear:
    """Return a layer from 2 x 3 x 4 to 5 x 2 x 3, of ranks 3 and 2."""
    return seeded(lambda: TensorTrainLinear((2, 3, 4), (5, 2, 3), (3, 2), bias))


def matrix(layer: TensorTrainLinear) -> Tensor:
    """Return the weights the cores stand for, by Novikov's formula: products of matrices, element by element."""
    first = layer.cores[0].weight.view(5, 3, 1, 2)  # (o, s, r, i)
    second = layer.cores[1].weight.view(2, 2, 3, 3)
    third = layer.cores[2].weight.view(3, 1, 2, 4)
    return torch.einsum("asxi,btsj,cytk->abcijk", first, second, third).reshape(30, 24)


@pytest.mark.parametrize("shape", [(4, 24), (24,), (2, 3, 24)])
def test_it_computes_what_the_matrix_of_its_cores_does(shape):
    layer = train()
    nn.init.normal_(layer.bias)
    given = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(layer(given), nn.functional.linear(given, matrix(layer), layer.bias), atol=1e-5)


def test_its_costs_are_counted_by_hand():
    """Core k has r o i s weights, each used once for what is done before it and what is left behind it."""
    cores = [1 * 5 * 2 * 3, 3 * 2 * 3 * 2, 2 * 3 * 4 * 1]
    assert parameter_counts(train())["params"] == sum(cores) + 30
    macs = cores[0] * 12 + cores[1] * 5 * 4 + cores[2] * 10
    assert mac_counts(train(), torch.zeros(3, 24)) == {"macs": macs, "macs_nonzero": macs}


@pytest.mark.parametrize(
    "sizes",
    [
        *(((2, 3), (2,), (1,)), ((2,), (2,), (1,)), ((2, 0), (2, 2), (1,)), ((2, 2), (2, 2), (True,)), ((), (), ())),
        *(((1,) * (MOST_MODES + 1), (1,) * (MOST_MODES + 1), (1,) * MOST_MODES), ((2.0, 2), (2, 2), (1,))),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ValueError, match="one rank fewer, all 1 or more"):
        TensorTrainLinear(*sizes)


def test_a_file_holds_it_and_its_cores_become_int8(tmp_path):
    subject = subject_of("compressbench.zoo.lenet.LeNet5", in_channels=1, image_size=16)
    subject.replace_module("fc1", seeded(lambda: TensorTrainLinear((5, 10), (25, 20), (6,))))
    subject.model.eval()
    context = StageContext(channels=1, side=16)
    images = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = subject.model(images)
        assert torch.allclose(answers(to_onnx(subject, context.example), images), before, atol=1e-5)
        quantized = PostTrainingInt8(["fc1.cores.*"], [], "minmax", 0.9999, 8, 2).apply(subject.clone(), context)
        assert type(quantized.model.fc1.cores[1]).__name__ == "Int8Linear"
        for each in (subject, quantized):
            write(each, tmp_path / "model.cbp")
            again = read(tmp_path / "model.cbp")
            assert repr(again.model) == repr(each.model)
            assert torch.equal(again.model(images), each.model(images))
        assert torch.allclose(quantized.model(images), before, atol=0.1)
