"""A low-rank and a sparse part that were planted are found, and every round is nearer."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.format import Sparse
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.metrics.parameters import parameter_counts
from compressbench.techniques.lowrank.lowrank_sparse import LowRankSparse, improved, low_rank_and_sparse
from tests.techniques.lending import StageContext, bare, seeded

TRAINING = TrainingConfig(epochs=1, batch_size=8, lr=0.01, optimizer="sgd", schedule="constant", weight_decay=0.0)


def greedy(*targets: str, ratio=0.5, share=0.5, examples=16, columns=1000, rounds=5, retrain=None) -> LowRankSparse:
    return LowRankSparse(list(targets), [], ratio, {}, share, rounds, examples, columns, 1e-3, retrain)


def planted(rank: int = 2, nonzeros: int = 20) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    low = torch.randn(20, rank, generator=generator) @ torch.randn(rank, 30, generator=generator)
    sparse = torch.zeros(600)
    sparse[torch.randperm(600, generator=generator)[:nonzeros]] = 10.0
    return low.double(), sparse.view(20, 30).double()


def inputs() -> Tensor:
    """Return 200 inputs that differ a lot in size and hang together."""
    generator = torch.Generator().manual_seed(1)
    mixed = torch.eye(30) + 0.2 * torch.randn(30, 30, generator=generator)
    return (torch.randn(200, 30, generator=generator) * torch.linspace(0.5, 2, 30) @ mixed).double()


def network() -> Subject:
    layers = nn.Conv2d(3, 12, 3), nn.ReLU(), nn.Conv2d(12, 16, 3, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return bare(seeded(lambda: nn.Sequential(*layers, nn.Linear(16, 10))).eval())


def test_planted_parts_are_found_by_the_weights():
    low, sparse = planted()
    left, right, found = low_rank_and_sparse(low + sparse, None, 2, 20, 30, 1e-3)
    assert torch.allclose(found, sparse, atol=1e-3)
    assert torch.allclose(left @ right, low, atol=1e-3)


def test_every_round_is_nearer_in_the_metric_of_the_inputs_and_nearer_than_without_it():
    weight = torch.randn(20, 30, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    given = inputs()
    sums = given.T @ given, given.T @ given @ weight.T
    errors = [error for *_, error in improved(weight, sums, 4, 60, 8, 1e-6)]
    assert all(after <= before * (1 + 1e-9) for before, after in pairwise(errors))
    assert errors[-1] < 0.99 * errors[0]

    def output_error(parts: tuple[Tensor, Tensor, Tensor]) -> float:
        return float((given @ (weight - parts[0] @ parts[1] - parts[2]).T).square().sum())

    ours = output_error(low_rank_and_sparse(weight, sums, 4, 60, 8, 1e-6))
    assert ours == pytest.approx(errors[-1], rel=1e-3)
    assert ours < 0.8 * output_error(low_rank_and_sparse(weight, None, 4, 60, 8, 1e-6))


def test_a_layer_without_sparse_part_is_reduced_rank_regression():
    """With no non-zeros the error is what the singular values of the outputs leave."""
    weight, given = planted()[0] + 0.1 * inputs()[:20], inputs()
    sums = given.T @ given, given.T @ given @ weight.T
    *_, error = next(improved(weight, sums, 3, 0, 1, 1e-12))
    assert error == pytest.approx(torch.linalg.svdvals(given @ weight.T)[3:].square().sum().item(), rel=1e-4)


def test_no_more_weights_stay_than_the_ratio_lets_and_they_are_stored_as_said():
    made = greedy("conv", "linear", ratio=0.6).apply(network(), StageContext())
    for name, weights, biases in (("0", 12 * 27, 12), ("2", 16 * 54, 16)):
        count = parameter_counts(made.model.get_submodule(name))["params_nonzero"] - biases
        assert 0.35 * weights < count <= 0.4 * weights
        assert isinstance(made.format_of(f"{name}.sparse.weight"), Sparse)
        assert made.mask(f"{name}.sparse.weight") is not None
    assert made.model[2].low_rank.reduce.groups == 2


def test_a_training_keeps_the_zeros():
    made = greedy("0", ratio=0.6, retrain=TRAINING).apply(network(), StageContext())
    before = int(made.mask("0.sparse.weight").sum())
    assert int(made.model[0].sparse.weight.count_nonzero()) == before
    assert not made.broken()


def test_what_does_not_pay_or_has_too_many_columns_is_said():
    made = greedy("linear", ratio=0.9).apply(network(), StageContext())
    why = "a rank of 1 takes 26 weights, of 16 that stay 50% are its own"
    assert [(each.what, each.why) for each in made.skipped] == [("5", why)]
    made = greedy("0", columns=20).apply(network(), StageContext())
    why = "its 27 columns are more than most_columns, 20; its weights alone count"
    assert [(each.what, each.why) for each in made.skipped] == [("the inputs of 0", why)]
