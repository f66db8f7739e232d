"""Neurons that say the same are merged, and nothing else changes (Srinivas and Babu 2015)."""

from __future__ import annotations

from itertools import permutations
from math import inf

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.subject import Subject
from compressbench.techniques.pruning.neuron_similarity import NeuronSimilarity, cut_off, merged_pairs, pair_distances
from tests.techniques.lending import StageContext, bare, seeded


def perceptron(between: nn.Module | None = None) -> Subject:
    layers = [nn.Flatten(), nn.Linear(4, 6), between or nn.ReLU(), nn.Dropout(), nn.Linear(6, 5), nn.ReLU()]
    return bare(seeded(lambda: nn.Sequential(*layers, nn.Linear(5, 3))))


def context() -> StageContext:
    return StageContext(channels=1, side=2, classes=3)


def merged(subject: Subject, ratio: float | None = 0.5, targets: tuple[str, ...] = ("linear",)) -> Subject:
    return NeuronSimilarity(list(targets), ratio, {}, []).apply(subject, context())


def outputs(subject: Subject) -> Tensor:
    images = torch.randn(16, 1, 2, 2, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        found: Tensor = subject.model.eval()(images)
    return found


def test_neurons_that_are_equal_are_merged_and_the_network_computes_what_it_did() -> None:
    subject = perceptron()
    with torch.no_grad():
        for tensor in (subject.model[1].weight, subject.model[1].bias):
            tensor[3:] = tensor[:3]  # three pairs of twins, which the next layer reads with other weights
    before = outputs(subject)
    after = merged(subject, targets=("1",))
    assert after.model[1].out_features == 3
    assert torch.allclose(outputs(after), before, atol=1e-6)


def test_the_cheapest_pair_goes_first_and_its_columns_are_added() -> None:
    """W = 0, 1, 3 and a = 3, 1, 2: of neuron 1 into 0 the saliency is 1 * 1, of 2 into 1 it is 4 * 4.

    Then a_0 = 4, and what is left costs 4 * 9 to take 2 into 0, and 16 * 9 the other way round.
    """
    distances = pair_distances(torch.tensor([[0.0], [1.0], [3.0]]))
    read = torch.tensor([[3.0, 1.0, 2.0]], dtype=torch.float64)
    assert distances[0].tolist() == pytest.approx([inf, 1.0, 9.0])
    assert merged_pairs(distances.clone(), read.clone(), 2, inf) == [(0, 1), (0, 2)]
    assert merged_pairs(distances.clone(), read.clone(), 2, limit=35.9) == [(0, 1)]


def test_every_step_is_the_best_one_there_is() -> None:
    """Against all pairs, tried out one by one."""
    generator = torch.Generator().manual_seed(0)
    rows, read = (torch.randn(shape, generator=generator).double() for shape in ((9, 4), (3, 9)))
    pairs, columns, left = [], read.clone(), list(range(9))
    for _ in range(6):
        saliency = {
            (i, j): float(columns[:, j].square().mean() * (rows[i] - rows[j]).square().sum())
            for i, j in permutations(left, 2)
        }
        i, j = min(saliency, key=saliency.__getitem__)
        columns[:, i] += columns[:, j]
        left.remove(j)
        pairs.append((i, j))
    assert merged_pairs(pair_distances(rows), read.clone(), 6, inf) == pairs


def test_the_next_layer_reads_one_neuron_with_the_weights_of_both() -> None:
    subject = perceptron()
    rows = torch.cat([subject.model[4].weight, subject.model[4].bias[:, None]], 1).detach()
    read = subject.model[6].weight.detach().clone()
    ((stays, goes),) = merged_pairs(pair_distances(rows), read.double().clone(), 1, inf)
    after = merged(subject, 0.2, ("4",)).model
    kept = [number for number in range(5) if number != goes]
    assert after[4].out_features == 4
    assert torch.allclose(after[6].weight[:, kept.index(stays)], read[:, stays] + read[:, goes])


def test_without_a_ratio_neurons_go_up_to_the_mode_of_the_saliencies() -> None:
    """999 of 1000 saliencies lie near 1 below a tail: only what costs less than that goes."""
    saliencies = torch.cat([torch.full((600,), 1.0), torch.linspace(2, 50, 400)])
    assert cut_off(saliencies) == pytest.approx(1.0, rel=1e-3)
    assert cut_off(torch.zeros(5)) == cut_off(torch.full((3,), inf)) == 0
    subject = perceptron()
    with torch.no_grad():
        for tensor in (subject.model[1].weight, subject.model[1].bias):
            tensor[1] = tensor[0]
    before = outputs(subject)
    after = merged(subject, None, ("1",))
    assert 1 <= after.model[1].out_features <= 5
    assert before.shape == outputs(after).shape


def test_a_layer_that_is_not_read_through_relu_alone_is_left_out_or_refused() -> None:
    after = merged(perceptron(nn.Tanh()))
    assert [layer.out_features for layer in after.model if isinstance(layer, nn.Linear)] == [6, 2, 3]
    assert [(each.what, each.why) for each in after.skipped] == [
        ("1", "4 reads it through Tanh, not ReLU"),
        ("6", "its filters are the outputs of the network"),
    ]
    with pytest.raises(ValueError, match="1 cannot have its neurons merged: 4 reads it through Tanh, not ReLU"):
        merged(perceptron(nn.Tanh()), targets=("1",))


def test_a_batch_norm_between_and_a_convolution_are_left_out() -> None:
    layers = [nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU()]
    subject = bare(seeded(lambda: nn.Sequential(*layers, nn.Linear(4, 3))))
    left = {each.what: each.why for each in merged(subject, targets=("linear", "conv")).skipped}
    assert left == {
        "0": "it is no linear layer",
        "3": "it is read by 4, 6, not by one linear layer alone",
        "6": "its filters are the outputs of the network",
    }


@pytest.mark.parametrize("ratio", [-0.1, 1.0, float("nan")])
def test_a_ratio_out_of_range_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match=r"ratio is .*; allowed: 0 or more and less than 1"):
        NeuronSimilarity(["linear"], ratio, {}, [])
    with pytest.raises(ValueError, match=r"ratios.1 is"):
        NeuronSimilarity(["linear"], None, {"1": ratio}, [])
