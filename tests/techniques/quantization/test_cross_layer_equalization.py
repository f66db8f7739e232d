"""Channels are scaled against each other; what comes out stays the same (Nagel et al. 2019)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.constraint import Mask
from compressbench.core.subject import Subject
from compressbench.techniques.quantization.cross_layer_equalization import CrossLayerEqualization
from compressbench.techniques.quantization.round_to_nearest import RoundToNearestQuantization
from tests.techniques.lending import StageContext, bare, seeded

CONTEXT = StageContext(3, 8)


def equalization(**fields: Any) -> CrossLayerEqualization:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "iterations": 20, "absorb": False}
    return CrossLayerEqualization(**{**own, "examples": 16, **fields})


def network() -> nn.Sequential:
    """Convolutions, one of them depthwise, that read each other through ReLU and pooling; a linear layer of maps."""

    def made() -> nn.Sequential:
        first, second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, groups=6)
        third, last = nn.Conv2d(6, 4, 1), nn.Linear(36, 5)
        layers = [
            first,
            nn.ReLU(inplace=True),
            second,
            nn.ReLU(),
            third,
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            last,
        ]
        model = nn.Sequential(*layers).eval()
        with torch.no_grad():
            first.weight.mul_(10 ** torch.linspace(-2, 2, 6).view(6, 1, 1, 1))
        return model

    return seeded(made)


@torch.no_grad()
def outputs(model: nn.Module) -> Tensor:
    found: Tensor = model(CONTEXT.images)
    return found


def test_a_channel_that_is_made_by_8_and_read_by_2_becomes_4_on_both_sides() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 2))
    values = {"0.weight": [[8.0]], "0.bias": [6.0], "2.weight": [[2.0], [-1.0]], "2.bias": [1.0, 1.0]}
    model.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    subject = bare(model)
    context = StageContext(1, 1)
    context.example = torch.zeros(1, 1)
    equalization(iterations=1).apply(subject, context)
    found = {name: tensor.tolist() for name, tensor in model.state_dict().items()}
    assert found == {"0.weight": [[4.0]], "0.bias": [3.0], "2.weight": [[4.0], [-2.0]], "2.bias": [1.0, 1.0]}


def test_the_function_stays_and_ranges_become_equal() -> None:
    model = network()
    before = outputs(model)
    subject = equalization().apply(bare(model), CONTEXT)
    assert torch.allclose(outputs(subject.model), before, rtol=1e-5, atol=1e-5 * float(before.abs().max()))
    assert [skipped.what for skipped in subject.skipped] == ["8"]
    made = model.get_parameter("4.weight").abs().flatten(1).amax(1)
    read = model.get_parameter("8.weight").abs().view(5, 4, 9).amax((0, 2))
    assert torch.allclose(made, read, rtol=1e-3)


def test_rows_whose_columns_are_of_different_sizes_lose_less_afterwards() -> None:
    """The point of the paper: what reads channels of different sizes has weights of different sizes in one grid."""
    apart = []
    for equalize in (False, True):
        subject = bare(network())
        with torch.no_grad():
            sizes = 10 ** torch.linspace(-2, 2, 6)
            subject.model.get_parameter("0.weight").div_(sizes.view(6, 1, 1, 1))
            subject.model.get_parameter("2.weight").mul_(sizes.view(6, 1, 1, 1))
            subject.model.get_parameter("2.bias").mul_(sizes)
            subject.model.get_parameter("4.weight").div_(sizes.view(1, 6, 1, 1))
        before = outputs(subject.model)
        if equalize:
            subject = equalization().apply(subject, CONTEXT)
        rounding = RoundToNearestQuantization(["4"], [], 4, 0, True, "minmax")
        apart.append(float((outputs(rounding.apply(subject, CONTEXT).model) - before).square().mean()))
    assert apart[1] < 0.5 * apart[0]


def test_channels_that_are_added_to_something_or_normalised_are_left_alone() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = (nn.Conv2d(3, 3, 1) for _ in range(3))
            self.norm, self.relu = nn.BatchNorm2d(3), nn.ReLU()

        def forward(self, images: Tensor) -> Tensor:
            first = self.relu(self.one(images))
            found: Tensor = self.norm(self.two(first)) + self.three(first) + first
            return found

    with pytest.raises(ValueError, match="one cannot be scaled: something else than layers uses its channels too"):
        equalization(targets=["one"]).apply(bare(seeded(Residual)), CONTEXT)
    with pytest.raises(ValueError, match="two cannot be scaled: a BatchNorm2d reads its channels, norm"):
        equalization(targets=["two"]).apply(bare(seeded(Residual)), CONTEXT)


def test_masks_hold_and_what_was_said_of_the_values_is_done_with() -> None:
    subject = bare(network())
    keep = torch.rand(6, 3, 3, 3, generator=torch.Generator().manual_seed(0)) > 0.5
    subject.constrain(Mask("0.weight", keep))
    subject.enforce()
    subject = equalization().apply(subject, CONTEXT)
    assert not subject.broken()
    assert [str(type(each).__name__) for each in subject.constraints] == ["Mask"]


def high_bias() -> Subject:
    def made() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 3))

    model = seeded(made).eval()
    with torch.no_grad():
        model[0].bias.add_(100.0)
    return bare(model)


def test_high_biases_go_to_the_next_layer() -> None:
    subject = high_bias()
    before = outputs(subject.model)
    subject = equalization(absorb=True, iterations=1).apply(subject, CONTEXT)
    largest = float(high_bias().model.get_parameter("0.bias").detach().max())
    assert float(subject.model.get_parameter("0.bias").detach().max()) < 0.2 * largest
    assert float((outputs(subject.model) - before).abs().max()) < 0.05 * float(before.abs().max())


def test_fields_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="iterations is 0"):
        equalization(iterations=0)
