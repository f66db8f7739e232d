"""Integers of few bits times a scale for each row or group of columns, to the nearest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.constraint import Mask
from compressbench.core.format import Coding, Uniform
from compressbench.core.subject import Subject
from compressbench.packing.packed_file import entries, write
from compressbench.techniques.quantization.round_to_nearest import RoundToNearestQuantization
from tests.techniques.lending import StageContext, bare, subject_of

CONTEXT = StageContext(1, 16)


def rounding(**fields: Any) -> RoundToNearestQuantization:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "bits": 4, "group": 0, "symmetric": True}
    return RoundToNearestQuantization(**{**own, "range": "minmax", **fields})


def of(weights: list[list[float]], **fields: Any) -> list[list[float]]:
    """Return what a linear layer's weights become."""
    layer = nn.Linear(len(weights[0]), len(weights), bias=False)
    layer.weight.data = torch.tensor(weights)
    subject = rounding(**fields).apply(bare(nn.Sequential(layer)), CONTEXT)
    found: list[list[float]] = subject.model.get_parameter("0.weight").tolist()
    return found


def lenet() -> Subject:
    return subject_of("compressbench.zoo.lenet.LeNet5", 1, image_size=16)


def test_a_row_is_integers_from_minus_7_to_7_of_a_seventh_of_its_largest_weight() -> None:
    assert of([[7.0, -3.4, 0.6, 0.4], [0.0, 14.0, -13.1, 1.1]]) == [[7, -3, 1, 0], [0, 14, -14, 2]]


def test_groups_of_columns_have_their_own_scale() -> None:
    assert of([[7.0, 0.4, 0.875, 0.05, 1.75]], group=2) == [[7, 0, 0.875, 0, 1.75]]  # 1, 1/8 and 1/4


def test_with_a_zero_point_all_integers_are_on_the_side_where_the_weights_are() -> None:
    """0 to 15, where the symmetric grid has steps of 15 / 7."""
    weights = [[15.0, 1.0, 8.0, 0.0], [-15.0, -1.0, -4.0, 0.0]]
    assert of(weights, symmetric=False) == weights
    assert of(weights, symmetric=True) != weights


def test_zero_is_in_every_grid_though_no_weight_is_near() -> None:
    found = of([[15.0, 14.0, 13.0, 12.2]], symmetric=False)[0]
    assert found == [15, 14, 13, 12], "0 to 15 in steps of 1, not 12.2 to 15 in steps of 0.19"


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_best_range_is_no_worse_than_the_whole_of_it(bits: int, symmetric: bool) -> None:
    """At 2 bits much better: the largest of a thousand weights alone would decide."""
    weights = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
    errors = {}
    for reach in ("minmax", "mse"):
        found = torch.tensor(of(weights.tolist(), bits=bits, symmetric=symmetric, range=reach))
        errors[reach] = float((found - weights).square().mean())
    assert errors["mse"] <= errors["minmax"]
    assert bits > 2 or errors["mse"] < 0.5 * errors["minmax"]
    assert bits != 2 or symmetric or errors["mse"] < 0.15, "four values of N(0, 1), one of them zero"


def test_a_file_takes_the_bits_of_each_weight_and_two_bytes_of_each_scale(tmp_path: Path) -> None:
    """LeNet-5 on 16 x 16: conv2 has 50 rows of 500 columns, fc1 500 of 50."""
    subject = rounding(bits=3, group=100, range="mse").apply(lenet(), CONTEXT)
    subject.coding = Coding(("fixed",))
    write(subject, tmp_path / "model.cbp")
    found = {entry.name: entry for entry, _ in entries(tmp_path / "model.cbp")}
    for name, rows, columns, scales in (("conv2", 50, 500, 250), ("fc1", 500, 50, 500)):
        entry = found[f"{name}.weight"]
        assert entry.format == Uniform(3, 100)
        assert (entry.coded_bytes, entry.side_bytes) == (-(-3 * rows * columns // 8), 2 * scales)


def test_a_step_is_the_one_scale_of_every_layer_and_takes_two_bytes_a_layer(tmp_path: Path) -> None:
    assert of([[0.6, -1.1, 0.2], [1.4, 9.0, -0.3]], bits=8, step=0.5) == [[0.5, -1.0, 0.0], [1.5, 9.0, -0.5]]
    subject = rounding(bits=8, step=0.03125).apply(lenet(), CONTEXT)
    write(subject, tmp_path / "model.cbp")
    found = {entry.name: entry for entry, _ in entries(tmp_path / "model.cbp")}
    assert {name: found[name].side_bytes for name in ("conv2.weight", "fc1.weight")} == {
        "conv2.weight": 2,
        "fc1.weight": 2,
    }


def test_what_a_step_does_not_reach_or_go_with_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a step of 0\.25 with 3 bits reaches to 0\.75; the largest weight is 1"):
        of([[1.0, 0.2]], bits=3, step=0.25)
    with pytest.raises(ValueError, match="step is the scale of all weights"):
        rounding(step=0.1, group=4)
    with pytest.raises(ValueError, match="step is the scale of all weights"):
        rounding(step=0.1, symmetric=False)
    with pytest.raises(ValueError, match="step is 0"):
        rounding(step=0.0)


def test_pruned_weights_stay_zero_under_their_mask_and_make_the_file_smaller(tmp_path: Path) -> None:
    sizes = []
    for ratio in (0.0, 0.8):
        subject = lenet()
        weight = subject.model.get_parameter("fc1.weight")
        keep = torch.rand(weight.shape, generator=torch.Generator().manual_seed(0)) >= ratio
        subject.constrain(Mask("fc1.weight", keep))
        subject.enforce()
        subject = rounding(symmetric=False).apply(subject, CONTEXT)
        assert not weight[~keep].any()
        assert not subject.broken()
        assert [type(each).__name__ for each in subject.constraints if each.parameter == "fc1.weight"] == [  # type: ignore[attr-defined]
            "Mask",
            "Frozen",
        ]
        subject.coding = Coding(("fixed", "ans"))
        sizes.append(write(subject, tmp_path / "model.cbp"))
    assert sizes[1] < 0.95 * sizes[0]


def test_tensors_of_other_kinds_of_layers_are_rounded_where_they_are_targets() -> None:
    model = nn.Sequential(nn.Embedding(5, 8), nn.LSTM(8, 4))
    subject = rounding(targets=["embedding", "rnn"]).apply(bare(model), CONTEXT)
    assert set(subject.formats) == {"0.weight", "1.weight_ih_l0", "1.weight_hh_l0"}


@pytest.mark.parametrize(
    ("key", "value"), [("bits", 1), ("bits", 9), ("group", -1), ("range", "mean"), ("range", "mes")]
)
def test_fields_out_of_range_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{key} is"):
        rounding(**{key: value})
