"""SparseGPT: what is pruned is made up for by the weights behind it (Frantar and Alistarh 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.format import Blocks, NOfM
from compressbench.core.subject import Subject
from compressbench.techniques._layer_sums import inverse_cholesky
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.pruning.sparsegpt import SparseGPTPruning, solved
from tests.techniques.lending import StageContext, bare, subject_of


def sparsegpt(**fields: Any) -> SparseGPTPruning:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "ratio": 0.5, "ratios": {}, "pattern": None}
    return SparseGPTPruning(**{**own, "blocksize": 8, "damping": 0.01, "examples": 64, **fields})


def problem(rows: int, columns: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return weights, and the sum H of correlated inputs."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(4 * columns, columns, generator=generator, dtype=torch.float64)
    inputs = inputs @ torch.randn(columns, columns, generator=generator, dtype=torch.float64)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64), inputs.T @ inputs


def error(change: Tensor, hessian: Tensor) -> float:
    return float(((change @ hessian) * change).sum())


def best(row: Tensor, hessian: Tensor, keep: tuple[int, ...]) -> Tensor:
    """Return the row of least error whose weights but these are zero."""
    kept, found = list(keep), torch.zeros_like(row)
    found[kept] = torch.linalg.solve(hessian[kept][:, kept], (hessian @ row)[kept])
    return found


def test_columns_behind_a_pruned_one_are_the_best_there_are() -> None:
    """If the first two of five columns go, what is left is the least-squares optimum: no approximation is left."""
    weight, hessian = problem(3, 5)
    upper = inverse_cholesky(hessian[None], 1e-9)[0]
    allowed = torch.tensor([False, False, True, True, True]).expand(3, 5)
    found, keep = solved(weight, upper, allowed, 9, 5, None)
    assert torch.equal(keep, allowed)
    for row in range(3):
        assert torch.allclose(found[row].where(keep[row], 0), best(weight[row], hessian, (2, 3, 4)), atol=1e-6)


@pytest.mark.parametrize("blocksize", [4, 8, 16])
def test_blocks_of_columns_change_nothing_once_the_mask_is_given(blocksize: int) -> None:
    weight, hessian = problem(6, 16)
    upper = inverse_cholesky(hessian[None], 0.01)[0]
    allowed = torch.rand(6, 16, generator=torch.Generator().manual_seed(1)) < 0.5
    one, _ = solved(weight, upper, allowed, 96, 16, None)
    found, _ = solved(weight, upper, allowed, 96, blocksize, None)
    assert torch.allclose(one.where(allowed, 0), found.where(allowed, 0), atol=1e-9)


def test_the_first_to_go_costs_least_of_all() -> None:
    """With one zero in a row and one block, the weight of least w^2 / U^2 goes; OBS's cost is that for the last."""
    weight, hessian = problem(1, 4)
    found, keep = solved(weight, inverse_cholesky(hessian[None], 1e-9)[0], None, 3, 4, None)
    upper = inverse_cholesky(hessian[None], 1e-9)[0]
    cost = weight[0].square() / upper.diagonal().square()
    assert int((~keep[0]).nonzero()) == int(cost.argmin())
    assert int((~keep).sum()) == 1
    assert error(found.where(keep, 0) - weight, hessian) == pytest.approx(float(cost.min()), rel=1e-5)


def test_its_error_lies_between_that_of_magnitude_and_of_the_best_there_is() -> None:
    ours = theirs = optimum = 0.0
    for seed in range(8):
        weight, hessian = problem(1, 8, seed)
        found, keep = solved(weight, inverse_cholesky(hessian[None], 1e-6)[0], None, 4, 8, None)
        ours += error(found.where(keep, 0) - weight, hessian)
        largest = weight.abs() >= weight.abs().sort(descending=True).values[0, 3]
        theirs += error(weight.where(largest, 0) - weight, hessian)
        every = combinations(range(8), 4)
        optimum += min(error((best(weight[0], hessian, kept) - weight[0])[None], hessian) for kept in every)
    assert optimum <= ours < 0.7 * theirs


def lenet() -> Subject:
    return subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)


class Correlated(StageContext):
    """Made-up images that a few directions explain, as those of real ones are."""

    def __init__(self) -> None:
        super().__init__(1, 8)
        generator = torch.Generator().manual_seed(0)
        few, mix = torch.randn(64, 8, generator=generator), torch.randn(8, 64, generator=generator)
        self.images = (few @ mix).view(64, 1, 8, 8)

    def calibration(self, batch_size: int, batches: int) -> Iterator[tuple[Tensor, Tensor]]:
        return iter([(self.images, torch.zeros(64, dtype=torch.int64))])


def apart(subject: Subject, context: Correlated) -> float:
    with torch.no_grad():
        return float((subject.model.eval()(context.images) - lenet().model.eval()(context.images)).square().mean())


def test_outputs_change_less_than_by_magnitude_and_zeros_are_exact() -> None:
    context = Correlated()
    subject = sparsegpt(ratio=0.7, blocksize=128).apply(lenet(), context)
    plain = MagnitudePruning(["linear"], 0.7, {}, [], "per_layer", 1, None).apply(lenet(), context)
    counts = [int((subject.model.get_parameter(f"fc{number}.weight") != 0).sum()) for number in (1, 2, 3)]
    assert counts == [5_760, 9_000, 300]
    assert apart(subject, context) < 0.25 * apart(plain, context)


@pytest.mark.parametrize(("pattern", "form"), [("2:4", NOfM(2, 4)), ("5x4", Blocks(5, 4))])
def test_patterns_are_kept_and_cost_less_than_by_magnitude(pattern: str, form: NOfM | Blocks) -> None:
    context = Correlated()
    subject = sparsegpt(pattern=pattern).apply(lenet(), context)
    plain = MagnitudePruning(["linear"], 0.5, {}, [], "per_layer", 1, None, pattern).apply(lenet(), context)
    weight = subject.model.get_parameter("fc2.weight").detach()
    assert subject.formats["fc2.weight"] == form
    form.levels(weight.numpy())  # would not say another
    assert int((weight != 0).sum()) == 15_000
    assert apart(subject, context) < apart(plain, context)


def test_convolutions_with_groups_are_pruned_a_group_at_a_time() -> None:
    layers = [nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 8, 3, groups=8)]
    made = bare(nn.Sequential(*layers))
    subject = sparsegpt(pattern="2:4").apply(made.clone(), StageContext(4, 10))
    assert [skipped.what for skipped in subject.skipped] == ["2"], "one input channel a group"
    weight = subject.model.get_parameter("1.weight")
    assert (weight.view(8, 4, 9).ne(0).sum(1) == 2).all()
    subject = sparsegpt().apply(made, StageContext(4, 10))
    assert [int((subject.model.get_parameter(f"{layer}.weight") != 0).sum()) for layer in (0, 1, 2)] == [144, 144, 36]


def test_what_an_earlier_mask_holds_stays_zero() -> None:
    context = Correlated()
    subject = MagnitudePruning(["linear"], 0.3, {}, [], "per_layer", 1, None).apply(lenet(), context)
    gone = subject.model.get_parameter("fc2.weight") == 0
    subject = sparsegpt(ratio=0.6).apply(subject, context)
    weight = subject.model.get_parameter("fc2.weight")
    assert not weight[gone].any()
    assert int((weight != 0).sum()) == 12_000


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"blocksize": 6, "pattern": "2:4"}, "blocksize is 6; allowed: a multiple of 4"),
        ({"blocksize": 0}, "blocksize is 0; allowed: 1 or more"),
        ({"damping": 0.0}, r"damping is 0\.0; allowed: more than 0"),
        ({"examples": 0}, "examples is 0; allowed: 1 or more"),
        ({"ratio": 0.75, "pattern": "2:4"}, r"ratio is 0\.75 with pattern 2:4"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sparsegpt(**fields)


def test_a_layer_whose_inputs_cannot_be_looked_at_is_an_error_if_named() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding="same"), nn.Flatten(), nn.Linear(256, 4))
    subject = sparsegpt().apply(bare(model), StageContext(1, 8))
    assert [skipped.what for skipped in subject.skipped] == ["0"]
    with pytest.raises(ValueError, match="0 cannot be pruned by what it is given: its padding is 'same'"):
        sparsegpt(targets=["0", "2"]).apply(bare(model), StageContext(1, 8))
