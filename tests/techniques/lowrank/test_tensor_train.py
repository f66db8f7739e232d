"""TT-SVD: how near it is, and how rows and columns are taken apart."""

import math

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.subject import Subject
from compressbench.layers.tensor_train import TensorTrainLinear
from compressbench.metrics.parameters import parameter_counts
from compressbench.techniques.lowrank.tensor_train import (
    TensorTrainFactorization,
    balanced,
    bonds,
    cost,
    tensor_train,
)
from tests.techniques.lending import StageContext, bare, seeded


def tt(*targets: str, dimensions=3, modes=None, rank=None, ratio=0.5, ranks=None) -> TensorTrainFactorization:
    return TensorTrainFactorization(list(targets), [], dimensions, modes or {}, rank, ratio, ranks or {})


def matrix_of(layer: nn.Module) -> Tensor:
    with torch.no_grad():
        size = math.prod(layer.in_modes) if isinstance(layer, TensorTrainLinear) else layer.in_features
        whole = layer(torch.eye(size)).T
        return whole if layer.bias is None else whole - layer.bias[:, None]


def network() -> Subject:
    return bare(seeded(lambda: nn.Sequential(nn.Linear(24, 36), nn.ReLU(), nn.Linear(36, 7, bias=False))).eval())


def test_at_full_rank_it_is_the_layer():
    layer = network().model[0]
    made = tensor_train(layer.weight, [3, 3, 4], [2, 3, 4], 1000, layer.bias)
    assert torch.allclose(matrix_of(made), layer.weight, atol=1e-5)
    assert made.ranks == (6, 16)  # all there can be: 3 * 2 before, 4 * 4 behind
    assert made.bias is layer.bias


def test_the_error_of_two_cores_is_the_discarded_singular_values_of_the_folded_matrix():
    layer = network().model[0]
    made = tensor_train(layer.weight, [4, 9], [6, 4], 5, layer.bias)
    folded = layer.weight.detach().double().view(4, 9, 6, 4).permute(0, 2, 1, 3).reshape(24, 36)
    discarded = torch.linalg.svdvals(folded)[5:].square().sum()
    error = (matrix_of(made) - layer.weight.detach()).double().square().sum()
    assert error.item() == pytest.approx(discarded.item(), rel=1e-4)


def test_the_error_of_three_cores_is_at_most_the_sum_of_what_each_unfolding_discards():
    """Oseledets 2011, Theorem 2.2; and at least what one of them does."""
    layer = network().model[0]
    made = tensor_train(layer.weight, [3, 3, 4], [2, 3, 4], 4, layer.bias)
    folded = layer.weight.detach().double().view(3, 3, 4, 2, 3, 4).permute(0, 3, 1, 4, 2, 5)
    unfolded = folded.reshape(6, -1), folded.reshape(54, -1)
    discarded = [torch.linalg.svdvals(each)[4:].square().sum().item() for each in unfolded]
    error = (matrix_of(made) - layer.weight.detach()).double().square().sum().item()
    assert max(discarded) <= error <= sum(discarded)


def test_sizes_are_taken_apart_as_nearly_equal_as_their_primes_let_them():
    assert [balanced(4096, 4), balanced(25088, 6), balanced(7, 3)] == [[8] * 4, [4, 4, 4, 7, 7, 8], [1, 1, 7]]
    assert balanced(9216, 3) == [16, 24, 24]
    assert balanced(1, 2) == [1, 1]


def test_the_weights_of_novikovs_layer_counted_by_hand():
    """Section 6.3 there: VGG's first dense layer of 25,088 x 4,096, folded into 2 7 8 8 7 4 and 4^6, of rank 4, has
    2,016 weights: 50,972 times fewer, as their Table 3 prints."""
    columns, rows = [2, 7, 8, 8, 7, 4], [4] * 6
    assert bonds(rows, columns, 4) == [4] * 5
    by_hand = 4 * 2 * 4 + 16 * (7 + 8 + 8 + 7) * 4 + 4 * 4 * 4
    assert cost(rows, columns, 4) == by_hand == 2016
    assert 25_088 * 4_096 / by_hand == pytest.approx(50_972, rel=1e-4)  # printed as 50972 times fewer


def test_a_ratio_finds_the_largest_rank_and_what_would_grow_is_said():
    made = tt("linear", dimensions=2).apply(network(), StageContext())
    count = parameter_counts(made.model[0])["params"] - 36
    rank = made.model[0].ranks[0]
    rows, columns = balanced(36, 2), balanced(24, 2)
    assert count == cost(rows, columns, rank) < 0.5 * 24 * 36 <= cost(rows, columns, rank + 1)
    made = tt("linear", rank=30).apply(network(), StageContext())
    assert [each.what for each in made.skipped] == ["0", "2"]
    assert "(Eq. 14)" in made.skipped[0].why


def test_modes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"modes of 0 are \[\[5, 5\], \[6, 6\]\]; their products are not 24 and 36"):
        tt("0", modes={"0": [[5, 5], [6, 6]]}).apply(network(), StageContext())
    with pytest.raises(ValueError, match=r"modes.0 is \[\[24\], \[36\]\]"):
        tt("0", modes={"0": [[24], [36]]})
    made = tt("0", modes={"0": [[2, 12], [12, 3]]}, rank=2).apply(network(), StageContext()).model[0]
    assert (made.in_modes, made.out_modes) == ((2, 12), (12, 3))
