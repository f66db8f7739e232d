"""Int8 without training: the rules by hand, and a network that still works."""

import pytest
import torch
from torch import nn

from compressbench.core.constraint import Mask
from compressbench.core.format import Sparse
from compressbench.layers.int8 import Int8Conv2d, Int8Linear
from compressbench.metrics.macs import layer_table, mac_counts
from compressbench.metrics.parameters import parameter_counts
from compressbench.techniques.quantization._int8 import affine, weight_levels
from compressbench.techniques.quantization.ptq_int8 import PostTrainingInt8
from tests.techniques.lending import ALEXNET, BND, PLAIN, StageContext, bare, subject_of
from tests.techniques.quantization.learned import DigitsContext, accuracy, learned


def ptq(targets=("conv", "linear"), ignore=(), how="mse", batches=2) -> PostTrainingInt8:
    return PostTrainingInt8(list(targets), list(ignore), how, 0.9999, 8, batches)


def test_weights_are_symmetric_with_a_scale_for_each_output_channel():
    levels, scales = weight_levels(torch.tensor([[0.5, -1.27], [0.0, 0.0], [2.54, 0.03]]))
    assert scales.tolist() == pytest.approx([0.01, 1.0, 0.02])
    assert levels.tolist() == [[50, -127], [0, 0], [127, 2]]  # 0.03 / 0.02 = 1.5, to even
    assert levels.dtype == torch.int8


@pytest.mark.parametrize(
    ("range", "scale", "zero_point"),
    [((-1.0, 1.55), 0.01, 100), ((2.0, 5.1), 0.02, 0), ((-2.55, -1.0), 0.01, 255), ((0.0, 0.0), 1.0, 0)],
)
def test_activations_have_256_values_and_an_exact_zero(range, scale, zero_point):
    assert affine(range) == (pytest.approx(scale), zero_point)


@pytest.mark.parametrize("how", ["minmax", "percentile", "mse"])
def test_a_network_that_learned_digits_still_knows_them(how):
    subject = learned()
    before = accuracy(subject)
    subject = ptq(how=how, batches=20).apply(subject, DigitsContext())
    assert [type(subject.model[place]) for place in (1, 4, 7)] == [Int8Linear] * 3
    assert before >= 0.93
    assert accuracy(subject) >= before - 0.01


def test_parameters_and_macs_are_counted_as_before():
    before, after = subject_of(ALEXNET, **BND), subject_of(ALEXNET, **BND)
    context = StageContext()
    with torch.no_grad():
        for subject in (before, after):
            subject.model.conv2.weight[:100] = 0
    after = ptq().apply(after, context)
    counts = [parameter_counts(subject.model) for subject in (before, after)]
    assert counts[1]["params"] == counts[0]["params"]
    assert counts[1]["params_without_bn"] == counts[0]["params_without_bn"]
    # small weights become zero: less than 1 in 127 of what is evenly spread
    assert 0.98 * counts[0]["params_nonzero"] <= counts[1]["params_nonzero"] <= counts[0]["params_nonzero"]
    assert mac_counts(after.model, context.example)["macs"] == mac_counts(before.model, context.example)["macs"]
    kinds = {row["name"]: row["kind"] for row in layer_table(after.model, context.example)}
    assert (kinds["conv1"], kinds["fc3"]) == ("Int8Conv2d", "Int8Linear")


def test_zeros_of_a_mask_stay_and_its_promise_and_format_are_done_with():
    subject = subject_of(ALEXNET, **PLAIN)
    keep = torch.rand(192, 64, 5, 5, generator=torch.Generator().manual_seed(0)) < 0.1
    subject.constraints = [Mask("conv2.weight", keep), Mask("conv3.weight", torch.ones(384, 192, 3, 3).bool())]
    subject.formats = {"conv2.weight": Sparse(), "conv3.weight": Sparse()}
    subject.enforce()
    subject = ptq(["conv2"]).apply(subject, StageContext())
    assert not subject.model.conv2.weight[~keep].any()
    assert [constraint.parameter for constraint in subject.constraints] == ["conv3.weight"]
    assert subject.formats == {"conv3.weight": Sparse()}


def test_the_selected_layers_change_and_no_other():
    subject = ptq(["conv"], ["first"]).apply(subject_of(ALEXNET, **PLAIN), StageContext())
    kinds = {type(module) for name, module in subject.model.named_modules() if name in ("conv1", "fc1", "fc3")}
    assert kinds == {nn.Conv2d, nn.Linear}
    assert isinstance(subject.model.conv2, Int8Conv2d)
    assert subject.skipped == []


def test_a_layer_without_int8_form_is_reported_by_type_and_refused_by_name():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), nn.Flatten(), nn.Linear(256, 10))
    subject = ptq().apply(bare(model), StageContext(side=8))
    assert [skipped.what for skipped in subject.skipped] == ["0"]
    assert isinstance(model[2], Int8Linear)
    with pytest.raises(ValueError, match=r"0 cannot compute with int8: its padding is .* with circular"):
        ptq(["0"]).apply(subject, StageContext(side=8))


def test_a_calibration_without_images_is_refused():
    with pytest.raises(ValueError, match=r"calibration_batches is 0; allowed: 1 or more"):
        ptq(batches=0)
