"""Which range an activation gets, and whose output is rounded."""

import pytest
import torch
from torch import Tensor, nn

from compressbench.techniques.quantization._observers import (
    activation_ranges,
    check_range,
    least_squares_range,
    percentile_range,
)


def test_a_percentile_leaves_out_so_many_at_either_end():
    counts = torch.full((100,), 10.0)  # from -1 to 1, a bin is 0.02
    low, high = percentile_range(counts, -1.0, 1.0, 0.95)
    assert (low, high) == pytest.approx((-0.9, 0.9), abs=0.021)
    assert percentile_range(counts, -1.0, 1.0, 1.0) == pytest.approx((-1.0, 1.0))


def test_zero_stays_in_the_range_of_a_percentile():
    counts = torch.zeros(100)
    counts[90:] = 1  # from 0.9 to 1
    assert percentile_range(counts, 0.0, 1.0, 0.9)[0] == 0.0


def test_the_least_squared_error_cuts_a_lonely_outlier_and_nothing_of_an_even_spread():
    counts = torch.zeros(2048)
    counts[:20] = 1e6  # all but one value lie below 1; 100 would make the steps 0.4 wide
    counts[-1] = 1
    low, high = least_squares_range(counts, 0.0, 100.0)
    assert low == 0.0
    assert 0.9 <= high <= 5
    assert least_squares_range(torch.ones(2048), -1.0, 3.0) == pytest.approx((-1.0, 3.0), rel=0.02)


@pytest.mark.parametrize(("how", "percentile", "said"), [("mean", 0.9, "allowed"), ("mse", 0.5, "percentile is 0.5")])
def test_an_unknown_rule_and_a_senseless_percentile_are_refused(how, percentile, said):
    with pytest.raises(ValueError, match=said):
        check_range(how, percentile)


class Residual(nn.Module):
    """Layers whose outputs go different ways."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.outer = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.relu, self.pool, self.head = nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Linear(12, 4)
        self.unused = nn.Linear(2, 2)

    def forward(self, images: Tensor) -> Tensor:
        images = self.pool(self.relu(self.stem(images)))
        images = torch.relu(images + self.outer(self.relu(self.inner(images))))
        return self.head(images.flatten(1))


def ranges_of(model: nn.Module, names: list[str], *batches: Tensor, how: str = "minmax"):
    return activation_ranges(model, names, lambda: ((images, torch.zeros(1)) for images in batches), how, 0.999)


def test_an_output_is_rounded_only_where_something_else_than_an_int8_layer_takes_it():
    names = ["stem", "inner", "outer", "head", "unused"]
    found = ranges_of(Residual(), names, torch.randn(2, 3, 4, 4))
    # stem and outer are added; inner goes through a ReLU to outer; head is the network's answer; unused never runs
    assert {name: seen.output is not None for name, seen in found.items()} == {
        "stem": True,
        "inner": False,
        "outer": True,
        "head": False,
    }


def test_the_range_covers_all_batches_and_zero():
    model = nn.Sequential(nn.Linear(2, 2))
    found = ranges_of(model, ["0"], torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 7.0]]))
    assert found["0"].input == (0.0, 7.0)


def test_calibration_leaves_the_network_as_it_was():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5)).train()
    model[2].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ranges_of(model, ["0"], torch.randn(8, 2), how="mse")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == [True, True, True, False]
    assert not model[0]._forward_hooks


def test_activations_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="an activation of 0 is not a number"):
        ranges_of(nn.Sequential(nn.Linear(2, 2)), ["0"], torch.full((1, 2), float("inf")))
