"""Channels that large weights read are given twice; what comes out stays the same (Zhao et al. 2019)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.constraint import Mask
from compressbench.core.format import NOfM
from compressbench.core.subject import Subject
from compressbench.packing.packed_file import read, write
from compressbench.techniques.quantization.outlier_channel_splitting import OutlierChannelSplitting, outliers, split
from compressbench.techniques.quantization.round_to_nearest import RoundToNearestQuantization
from tests.techniques.lending import StageContext, bare, seeded, subject_of

CONTEXT = StageContext(3, 8)


def splitting(**fields: Any) -> OutlierChannelSplitting:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "ratio": 0.3, "bits": 4, "scale": "layer"}
    return OutlierChannelSplitting(**{**own, **fields})


def network() -> nn.Sequential:
    """Convolutions that read each other through ReLU and pooling, then linear layers, the first of whole maps; one
    weight of each that reads another's channels is far from the rest."""

    def made() -> nn.Sequential:
        first, second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 4, 3)
        third, last = nn.Linear(36, 5, bias=False), nn.Linear(5, 3)
        parts = [first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), third, nn.ReLU(), last]
        with torch.no_grad():
            for layer in (second, third, last):
                layer.weight[1, 2] = 2.0
        return nn.Sequential(*parts).eval()

    return seeded(made)


@torch.no_grad()
def outputs(model: nn.Module) -> Tensor:
    found: Tensor = model(CONTEXT.images)
    return found


def linear(made: list[list[float]], read: list[list[float]]) -> tuple[Subject, StageContext]:
    """Return two linear layers of these weights around a ReLU; biases are 1, 2, ..."""
    model = nn.Sequential(nn.Linear(len(made[0]), len(made)), nn.ReLU(), nn.Linear(len(read[0]), len(read)))
    for layer, weight in ((model[0], made), (model[2], read)):
        layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.arange(1.0, len(weight) + 1)})
    context = StageContext(1, 1)
    context.example = torch.zeros(1, len(made[0]))
    return bare(model), context


def test_the_channel_of_the_largest_weight_is_made_twice_and_halved() -> None:
    subject, context = linear([[1.0], [2.0], [3.0]], [[1.0, 8.0, 3.0], [2.0, 0.0, -2.0]])
    splitting(bits=None, ratio=0.1).apply(subject, context)
    assert {name: tensor.tolist() for name, tensor in subject.model.state_dict().items()} == {
        "0.weight": [[1.0], [2.0], [3.0], [2.0]],
        "0.bias": [1.0, 2.0, 3.0, 2.0],
        "2.weight": [[1.0, 4.0, 3.0, 4.0], [2.0, 0.0, -2.0, 0.0]],
        "2.bias": [1.0, 2.0],
    }
    assert (subject.model[0].out_features, subject.model[2].in_features) == (4, 4)  # type: ignore[index, union-attr]


def test_halves_are_a_quarter_of_a_step_of_the_grid_apart_from_the_middle() -> None:
    """Largest after halving is 7, so a step is 1 with 4 bits: 8 becomes (8 - 1/2) / 2 and (8 + 1/2) / 2."""
    subject, context = linear([[1.0], [1.0]], [[7.0, 8.0], [1.0, -3.0]])
    splitting(ratio=0.5).apply(subject, context)
    assert subject.model.get_parameter("2.weight").tolist() == [[7.0, 3.75, 4.25], [1.0, -1.75, -1.25]]


def test_both_parts_round_to_what_the_weight_does() -> None:
    """What quantization-aware splitting is for (section 3.4); halves alone round apart half of the time."""
    weight = 5 * torch.randn(50, 1, 9, generator=torch.Generator().manual_seed(0))
    for step, same in ((1.0, True), (0.0, False)):
        parts = split(weight, [0, 1, 0], torch.tensor([[step]]))
        assert torch.allclose(parts.sum(1), weight[:, 0], atol=1e-5)
        assert torch.equal(parts.round().sum(1), weight[:, 0].round()) is same


def test_a_copy_can_be_split_again() -> None:
    splits, sizes = outliers(torch.tensor([[12.0, 1.0, 4.0]]), 3)
    assert splits == [0, 0, 3]  # 12; 6 and 6; 3, 6 and 3
    assert sizes.tolist() == [[3.0, 1.0, 4.0, 3.0, 3.0, 3.0]]


def test_by_row_the_channel_counts_that_most_rows_have_their_largest_weight_of() -> None:
    sizes = torch.tensor([[1.0, 5.0], [4.0, 1.0], [4.0, 1.0]])
    assert outliers(sizes, 1)[0] == [0]
    assert outliers(sizes.amax(0, keepdim=True), 1)[0] == [1]


@pytest.mark.parametrize("bits", [None, 4])
@pytest.mark.parametrize("scale", ["layer", "row"])
def test_the_function_stays_and_the_network_grows(bits: int | None, scale: str) -> None:
    model = network()
    before = outputs(model)
    subject = splitting(bits=bits, scale=scale).apply(bare(model), CONTEXT)
    assert torch.allclose(outputs(model), before, rtol=1e-5, atol=1e-5 * float(before.abs().max()))
    shapes = [list(model.get_parameter(f"{name}.weight").shape) for name in (0, 2, 6, 8)]
    assert shapes == [[8, 3, 3, 3], [6, 8, 3, 3], [7, 54], [3, 7]]  # 2 of 6, 2 of 4 and 2 of 5 more
    assert [skipped.what for skipped in subject.skipped] == ["8"]


@torch.no_grad()
def test_less_is_lost_in_one_grid_where_there_are_outliers() -> None:
    """One outlier of 20 among 30 weights up to 1, in a layer of one row, which has one scale."""
    lost = list[float]()
    for ratio in (None, 0.1):
        weight = torch.cat([torch.tensor([[20.0]]), torch.linspace(-1, 1, 30)[None]], 1)
        subject, context = linear([[1.0]] * 31, weight.tolist())
        before = subject.model(context.images.flatten(1))
        if ratio:
            subject = splitting(ratio=ratio).apply(subject, context)
        rounded = RoundToNearestQuantization(["2"], [], 4, 0, True, "minmax").apply(subject, context)
        lost.append(float((rounded.model(context.images.flatten(1)) - before).square().mean()))
    assert lost[1] < lost[0]


def test_masks_grow_with_what_they_mask() -> None:
    subject, generator = bare(network()), torch.Generator().manual_seed(0)
    for name in ("0.weight", "2.weight", "6.weight"):
        shape = subject.model.get_parameter(name).shape
        subject.constrain(Mask(name, torch.rand(shape, generator=generator) > 0.5))
    subject.enforce()
    before = outputs(subject.model)
    subject = splitting().apply(subject, CONTEXT)
    assert not subject.broken()
    subject.enforce()
    assert torch.allclose(outputs(subject.model), before, rtol=1e-5, atol=1e-5 * float(before.abs().max()))
    assert all(mask.keep.float().mean() < 0.7 for mask in subject.constraints if isinstance(mask, Mask))


def test_the_larger_network_is_packed_bit_for_bit(tmp_path: Path) -> None:
    subject = splitting(ratio=0.02).apply(
        subject_of("compressbench.zoo.lenet.LeNet5", image_size=32), StageContext(3, 32)
    )
    weights = {name: list(each.shape) for name, each in subject.model.named_parameters() if "weight" in name}
    assert weights == {  # of 20, 50 and 500 channels, with maps of 5 x 5
        "conv1.weight": [21, 3, 5, 5],
        "conv2.weight": [51, 21, 5, 5],
        "fc1.weight": [510, 51 * 25],
        "fc2.weight": [10, 510],
    }
    write(subject, tmp_path / "larger.cbp")
    found = read(tmp_path / "larger.cbp").model.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in subject.model.state_dict().items())


def test_what_cannot_be_split_is_left_out_or_an_error() -> None:
    def grouped() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1, groups=4), nn.Conv2d(4, 2, 1)).eval()

    with pytest.raises(ValueError, match="0 cannot have its channels split: 2 is a convolution in groups"):
        splitting(targets=["0"]).apply(bare(seeded(grouped)), CONTEXT)
    subject = bare(network())
    subject.store("2.weight", NOfM(2, 4))
    with pytest.raises(ValueError, match="0 cannot have its channels split: the zeros of 2 lie in a pattern"):
        splitting(targets=["0"]).apply(subject, CONTEXT)
    with pytest.raises(ValueError, match="8 cannot have its channels split: no layer reads its channels as they are"):
        splitting(targets=["8"]).apply(bare(network()), CONTEXT)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ratio": 0}, "ratio is 0"),
        ({"ratio": 1.0}, "ratio is 1.0"),
        ({"bits": 9}, "bits is 9"),
        ({"scale": "rows"}, "row"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        splitting(**fields)
