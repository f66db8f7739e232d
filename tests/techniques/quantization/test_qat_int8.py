"""Training that rounds like int8, and the int8 network it becomes."""

import pytest
import torch
from torch import nn

from compressbench.core.constraint import Mask
from compressbench.layers.int8 import Int8Linear
from compressbench.techniques.quantization._int8 import weight_levels
from compressbench.techniques.quantization._observers import Ranges
from compressbench.techniques.quantization.ptq_int8 import PostTrainingInt8
from compressbench.techniques.quantization.qat_int8 import (
    QuantizationAwareInt8,
    RoundedActivation,
    RoundedWeight,
    rounding,
)
from tests.techniques.lending import trained_by
from tests.techniques.quantization.learned import FIELDS, DigitsContext, accuracy, learned


def qat(**changes: object) -> QuantizationAwareInt8:
    fields = {**FIELDS, "epochs": 2, "lr": 0.01, "range": "minmax", "percentile": 0.9999, "range_decay": 0.99}
    fields |= {"targets": ["linear"], "ignore": [], "calibration_batch_size": 8, "calibration_batches": 4}
    return trained_by(QuantizationAwareInt8, **{**fields, **changes})  # type: ignore[arg-type]


def test_it_ends_where_ptq_ends_and_still_knows_the_digits():
    subject = learned()
    before = accuracy(subject)
    subject = qat().apply(subject, DigitsContext())
    twin = PostTrainingInt8(["linear"], [], "minmax", 0.9999, 8, 4).apply(learned(), DigitsContext())
    assert list(subject.model.state_dict()) == list(twin.model.state_dict())
    assert [type(subject.model[place]) for place in (1, 4, 7)] == [Int8Linear] * 3
    assert not torch.equal(subject.model[4].weight, twin.model[4].weight)  # it trained
    assert not subject.model[4]._forward_pre_hooks
    assert accuracy(subject) >= before - 0.01


def test_rounded_weights_are_the_int8_levels_with_the_gradient_of_the_identity():
    weight = torch.randn(4, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()
    rounded = RoundedWeight()(weight)
    levels, scales = weight_levels(weight)
    assert torch.allclose(rounded, levels * scales[:, None], rtol=1e-6)
    rounded.sum().backward()
    assert torch.equal(weight.grad, torch.ones(4, 9))


def test_a_range_follows_what_it_sees_while_training_only():
    rounded = RoundedActivation((-1.0, 1.0), decay=0.9)
    rounded.train()(torch.tensor([0.0, 11.0]))
    assert (float(rounded.low), float(rounded.high)) == pytest.approx((-0.9, 2.0))
    rounded.eval()(torch.tensor([0.0, 11.0]))
    assert float(rounded.high) == pytest.approx(2.0)


def test_activations_are_rounded_to_256_values_with_a_gradient_inside_the_range():
    rounded = RoundedActivation((-1.0, 1.55), decay=0.9).eval()
    values = torch.tensor([0.014, -3.0, 9.0], requires_grad=True)
    found = rounded(values)
    assert found.tolist() == pytest.approx([0.01, -1.0, 1.55])
    found.sum().backward()
    assert values.grad.tolist() == [1.0, 0.0, 0.0]


def test_an_output_is_rounded_while_it_lasts_and_checkpoints_hold_the_ranges():
    model = nn.Sequential(nn.Linear(2, 2)).eval()
    given = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    plain = model(given)
    with rounding(model, {"0": Ranges((-1.0, 1.0), (-2.55, 0.0))}, 0.9):
        steps = model(given) / 0.01
        assert torch.allclose(steps, steps.round(), atol=1e-3)
        held = [name for name in model.state_dict() if "rounding" in name]
        assert held == [f"0.{side}_rounding.{end}" for side in ("input", "output") for end in ("low", "high")]
    assert torch.equal(model(given), plain)
    assert list(model.state_dict()) == ["0.weight", "0.bias"]


def test_zeros_of_a_mask_stay_through_training():
    subject = learned()
    keep = subject.model[4].weight.detach().abs() > 0.05
    subject.constraints = [Mask("4.weight", keep)]
    subject.enforce()
    subject = qat().apply(subject, DigitsContext())
    assert not subject.model[4].weight[~keep].any()
    assert 0 < int(keep.sum()) < keep.numel()
    assert subject.constraints == []


@pytest.mark.parametrize(("key", "value"), [("range_decay", 1.0), ("calibration_batch_size", 0), ("range", "max")])
def test_fields_out_of_range_are_refused(key, value):
    with pytest.raises(ValueError, match=key):
        qat(**{key: value})
