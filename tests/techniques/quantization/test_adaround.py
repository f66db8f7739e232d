"""Whether to round up or down is learned from what comes out of a layer (Nagel et al. 2020)."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.format import Uniform
from compressbench.techniques.quantization._grid import grid_of
from compressbench.techniques.quantization._readers import readers_of
from compressbench.techniques.quantization.adaround import AdaRoundQuantization
from tests.techniques.lending import StageContext, bare, seeded

COLUMNS = 6


def adaround(**fields: Any) -> AdaRoundQuantization:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "bits": 3, "group": 0, "symmetric": True}
    own |= {"range": "minmax", "examples": 64, "places": 256, "iterations": 300, "batch": 64, "lr": 0.05}
    own |= {"regularization": 0.01, "beta_start": 20.0, "beta_end": 2.0}
    return AdaRoundQuantization(**{**own, **fields})


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def of(weights: Tensor, inputs: Tensor, shift: float = 0.0, rectified: bool = False, **fields: Any) -> Tensor:
    shifts = torch.full((1, 1, len(weights)), shift)
    aims = inputs[None] @ weights.T + shifts
    return adaround(**fields).rounded(weights, inputs[None], aims, shifts, rectified, torch.Generator().manual_seed(0))


def error(weights: Tensor, found: Tensor, inputs: Tensor, shift: float = 0.0) -> float:
    return float(((inputs @ weights.T + shift).relu() - (inputs @ found.T + shift).relu()).square().mean())


def best(weights: Tensor, inputs: Tensor, shift: float) -> float:
    """Return the least error of all 2^columns ways to round a row up or down."""
    grid = grid_of(weights, adaround())
    below = (weights / grid.scale).floor()
    choices = torch.tensor(list(product((0.0, 1.0), repeat=COLUMNS)))
    found = torch.clamp(below + choices, grid.low, grid.high) * grid.scale
    return min(error(weights, each[None], inputs, shift) for each in found)


def test_what_is_found_is_near_the_best_of_all_ways_to_round_up_or_down() -> None:
    """64 ways for each row of six weights, whose inputs hang together."""
    weights = drawn(16, COLUMNS)
    inputs = drawn(256, COLUMNS) @ (torch.eye(COLUMNS) + 0.7 * drawn(COLUMNS, COLUMNS, seed=9))
    shift = 100.0  # the ReLU does nothing
    nearest = error(weights, grid_of(weights, adaround()).rounded(weights), inputs, shift)
    found = error(weights, of(weights, inputs, regularization=0.1), inputs, shift)
    least = sum(best(row[None], inputs, shift) for row in weights) / len(weights)
    assert least <= found < least + 0.4 * (nearest - least)


def test_what_the_relu_cuts_off_is_no_error() -> None:
    """Behind a ReLU that lets nothing through there is nothing to learn."""
    weights, inputs = drawn(16, COLUMNS), drawn(256, COLUMNS) @ (torch.eye(COLUMNS) + 0.7 * drawn(COLUMNS, COLUMNS))
    nearest = grid_of(weights, adaround()).rounded(weights)
    fields: dict[str, Any] = {"shift": -100.0, "regularization": 0.0, "iterations": 300}
    assert torch.equal(of(weights, inputs, rectified=True, **fields), nearest)
    assert not torch.equal(of(weights, inputs, rectified=False, **fields), nearest)


def test_weights_go_to_a_neighbour_on_the_grid_and_zeros_stay() -> None:
    weights = drawn(8, COLUMNS)
    weights[:, ::2] = 0.0
    grid = grid_of(weights, adaround())
    found = of(weights, drawn(256, COLUMNS))
    assert not found[:, ::2].any()
    steps = (found - weights) / grid.scale
    assert float(steps.abs().max()) < 1
    assert torch.equal(found, grid.rounded(found))


def test_without_anything_that_drives_them_few_steps_leave_the_nearest() -> None:
    weights = drawn(8, COLUMNS)
    found = of(weights, drawn(256, COLUMNS), lr=1e-6, iterations=2)
    assert torch.equal(found, grid_of(weights, adaround()).rounded(weights))


def network() -> nn.Module:
    def layers() -> list[nn.Module]:
        first, second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, groups=2)
        return [first, nn.ReLU(inplace=True), second, nn.Flatten(), nn.Linear(64, 3)]

    return seeded(lambda: nn.Sequential(*layers()).eval())


def test_who_reads_a_layer_is_seen_while_the_network_runs() -> None:
    readers = readers_of(network(), torch.zeros(1, 3, 8, 8))
    assert {name: list(found) for name, found in readers.items()} == {"0": ["1"], "1": ["2"], "2": ["3"], "3": ["4"]}


def test_a_network_comes_nearer_than_by_rounding_to_the_nearest() -> None:
    context, before = StageContext(3, 8), network()
    outputs = {}
    for iterations, lr in ((1, 1e-6), (200, 0.05)):
        subject = adaround(iterations=iterations, lr=lr).apply(bare(network()), context)
        with torch.no_grad():
            apart = subject.model(context.images) - before(context.images)
        outputs[iterations] = float(apart.square().mean())
        assert subject.formats == {f"{name}.weight": Uniform(3) for name in (0, 2, 4)}
        assert not subject.broken()
    assert outputs[200] < 0.8 * outputs[1]


@pytest.mark.parametrize(
    ("key", "value"),
    [("bits", 1), ("examples", 0), ("places", 0), ("iterations", 0), ("batch", 0), ("lr", 0.0), ("beta_end", 0.0)],
)
def test_fields_out_of_range_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{key} is"):
        adaround(**{key: value})
