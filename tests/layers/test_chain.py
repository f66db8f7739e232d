"""Layers in the place of one: what they compute, cost, and let later stages do to them."""

import pytest
import torch
from torch import nn

from compressbench.core.subject import Subject
from compressbench.core.task import feed
from compressbench.export.onnx_model import to_onnx
from compressbench.layers.chain import MOST_PARTS, Chain, Sum
from compressbench.metrics.flops_survey import flops_survey
from compressbench.metrics.macs import layer_table, mac_counts
from compressbench.metrics.parameters import parameter_counts
from compressbench.packing.packed_file import read, write
from compressbench.techniques.coding.fold_batch_norm import FoldBatchNorm
from compressbench.techniques.pruning.l1_norm import L1NormPruning
from compressbench.techniques.quantization.ptq_int8 import PostTrainingInt8
from tests.export.test_onnx_model import answers
from tests.techniques.lending import StageContext, seeded, subject_of

LENET = "compressbench.zoo.lenet.LeNet5"


def factored() -> Subject:
    """Return a LeNet-5 whose second convolution is three in a row with a batch norm, beside one of 1 x 1 in the middle,
    and whose first linear layer is two."""
    subject = subject_of(LENET, in_channels=1, image_size=16)

    def parts() -> tuple[nn.Module, nn.Module]:
        sides = Sum({"wide": nn.Conv2d(6, 8, 5, bias=False), "narrow": nn.Conv2d(6, 8, 5, bias=False)})
        conv = {"reduce": nn.Conv2d(20, 6, 1, bias=False), "norm": nn.BatchNorm2d(6), "core": sides}
        dense = {"reduce": nn.Linear(50, 4, bias=False), "expand": nn.Linear(4, 500)}
        return Chain({**conv, "expand": nn.Conv2d(8, 50, 1)}), Chain(dense)

    conv, dense = seeded(parts)
    subject.replace_module("conv2", conv)
    subject.replace_module("fc1", dense)
    subject.model.eval()
    return subject


def images(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def context() -> StageContext:
    return StageContext(channels=1, side=16)


def outputs(subject: Subject) -> torch.Tensor:
    with torch.no_grad():
        return feed(subject.model.eval(), images())


def test_parts_run_in_a_row_and_side_by_side():
    twice, thrice = (nn.Linear(1, 1, bias=False) for _ in range(2))
    nn.init.constant_(twice.weight, 2.0)
    nn.init.constant_(thrice.weight, 3.0)
    one = torch.ones(1, 1)
    assert Chain({"twice": twice, "thrice": thrice})(one).item() == 6
    assert Sum({"twice": twice, "thrice": thrice})(one).item() == 5
    assert Sum({"both": Chain({"twice": twice, "thrice": thrice}), "twice": twice})(one).item() == 8


@pytest.mark.parametrize("kind", [Chain, Sum])
@pytest.mark.parametrize(
    "parts", [[], ["a"] * (MOST_PARTS + 1), ["a.b"], [""], ["forward"], ["parts"], [3], ["_modules"], ["a", "a"]]
)
def test_parts_that_no_module_can_have_are_refused(kind, parts):
    with pytest.raises(ValueError, match=r" of a | parts"):
        kind(parts)


def test_its_layers_are_counted_as_layers():
    subject = factored()
    conv = 20 * 6 + 2 * 6 + 2 * 6 * 8 * 25 + 8 * 50 + 50
    first, dense, last = 25 * 20 + 20, 50 * 4 + 4 * 500 + 500, 500 * 10 + 10
    assert parameter_counts(subject.model)["params"] == conv + first + dense + last
    macs = 25 * 20 * 144 + 20 * 6 * 36 + (2 * 6 * 8 * 25 + 8 * 50) * 4 + 50 * 4 + 4 * 500 + 5000
    assert mac_counts(subject.model, images())["macs"] == macs
    names = [row["name"] for row in layer_table(subject.model, images())]
    parts = ["conv2.reduce", "conv2.norm", "conv2.core.wide", "conv2.core.narrow", "conv2.expand"]
    assert names == ["conv1", *parts, "fc1.reduce", "fc1.expand", "fc2"]
    flops = 2 * macs + 20 * 144 + 50 * 4 + 500 + 10 + 2 * 6 * 36 + 500  # biases, batch norm, ReLU
    pool = 4 * 20 * 36  # the second stands after the last convolution of a network with batch norm
    assert flops_survey(subject.model, images()) == 3 * (flops + pool)


def test_a_packed_file_holds_it_part_by_part(tmp_path):
    subject = factored()
    subject.replace_module("conv2.norm", nn.Identity())
    subject.replace_module("fc1.expand", Chain({"one": nn.Linear(4, 3), "two": nn.Linear(3, 500)}))
    write(subject, tmp_path / "model.cbp")
    again = read(tmp_path / "model.cbp")
    assert repr(again.model) == repr(subject.model)
    assert torch.equal(outputs(again), outputs(subject))


def test_it_is_exported_as_its_layers():
    subject = factored()
    assert torch.allclose(answers(to_onnx(subject, context().example), images()), outputs(subject), atol=1e-5)


def test_filters_are_pruned_inside_and_before_it(tmp_path):
    pruned = L1NormPruning(["conv"], 0.5, {}, [], 1).apply(factored(), context())
    conv = pruned.model.conv2
    assert (pruned.model.conv1.out_channels, conv.reduce.out_channels, conv.norm.num_features) == (10, 3, 3)
    assert (conv.core.wide.out_channels, conv.core.narrow.out_channels, conv.expand.in_channels) == (4, 4, 4)
    assert pruned.model.fc1.reduce.in_features == 25
    write(pruned, tmp_path / "model.cbp")
    assert torch.equal(outputs(read(tmp_path / "model.cbp")), outputs(pruned))


def test_batch_norm_is_folded_and_layers_become_int8_inside_it(tmp_path):
    subject = FoldBatchNorm().apply(factored(), context())
    assert isinstance(subject.model.conv2.norm, nn.Identity)
    before = outputs(subject)
    assert torch.allclose(before, outputs(factored()), atol=1e-5)
    quantized = PostTrainingInt8(["conv", "linear"], [], "minmax", 0.9999, 8, 2).apply(subject, context())
    kinds = {type(layer).__name__ for layer in quantized.model.modules() if list(layer.buffers(recurse=False))}
    assert kinds == {"Int8Conv2d", "Int8Linear"}
    write(quantized, tmp_path / "model.cbp")
    again = read(tmp_path / "model.cbp")
    assert torch.equal(outputs(again), outputs(quantized))
    assert torch.allclose(outputs(again), before, atol=0.1)
