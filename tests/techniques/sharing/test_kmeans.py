"""k-means finds the best shared values, and weights keep them."""

from itertools import combinations

import numpy as np
import pytest
import torch

from compressbench.core.constraint import Mask, Shared
from compressbench.core.format import Codebook, Dense, Sparse
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.sharing import _kmeans
from compressbench.techniques.sharing._kmeans import Points
from compressbench.techniques.sharing.kmeans import SharedWeights
from tests.techniques.lending import StageContext, subject_of

STEP = TrainingConfig(epochs=1, batch_size=8, lr=0.05, optimizer="sgd", schedule="constant", weight_decay=0.01)


def sharing(bits=2, ignore=(), bits_by_layer=None, initialisation="optimal", iterations=20, bias_bits=None, fp="fp32"):
    layers = ["conv", "linear"]
    return SharedWeights(layers, list(ignore), bits, bits_by_layer or {}, initialisation, iterations, bias_bits, fp)


def lenet():
    return subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)


def context(seed: int = 0) -> StageContext:
    return StageContext(channels=1, side=8, seed=seed)


def pruned():
    return MagnitudePruning(["linear"], 0.9, {}, [], "per_layer", 1, None).apply(lenet(), context())


def different(tensor) -> int:
    return len(tensor[tensor != 0].unique())


def brute_force(numbers, k) -> float:
    """The least squared error of k runs of the sorted numbers, by trying all of them."""
    numbers = np.sort(np.asarray(numbers, np.float64))
    cuts = combinations(range(1, len(numbers)), k - 1)
    return min(sum(((run - run.mean()) ** 2).sum() for run in np.split(numbers, cut)) for cut in cuts)


def true_error(numbers, centroids, index) -> float:
    return float(((numbers.astype(np.float64) - centroids[index]) ** 2).sum())


def test_two_clusters_by_hand():
    """{0, 1, 2} and {10, 12}: means 1 and 11, squared error 1 + 0 + 1 + 1 + 1 = 4."""
    numbers = np.array([10, 0, 2, 12, 1], np.float32)
    points = Points.of(numbers)
    centroids = _kmeans.optimal(points, 2)
    assert centroids.tolist() == [1, 11]
    assert _kmeans.assigned(numbers, points, centroids).tolist() == [1, 0, 0, 1, 0]
    assert _kmeans.error(points, centroids) == 4


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(8))
def test_no_other_clusters_have_a_smaller_error(k, seed):
    generator = np.random.default_rng(seed)
    numbers = (generator.standard_normal(12) * 10 ** generator.uniform(-3, 3)).round(seed % 4).astype(np.float32)
    points = Points.of(numbers)
    centroids = _kmeans.optimal(points, k)
    reached = true_error(numbers, centroids, _kmeans.assigned(numbers, points, centroids))
    assert reached == pytest.approx(brute_force(numbers, k), rel=1e-9, abs=1e-12)
    assert _kmeans.error(points, centroids) == pytest.approx(reached, rel=1e-6, abs=1e-9)


def test_a_normal_distribution_gets_the_distortion_of_its_best_quantizers():
    """Max 1960, Table I: mean squared error of the best quantizers with 2 to 16 levels, of variance 1."""
    numbers = np.random.default_rng(0).standard_normal(200_000).astype(np.float32)
    points = Points.of(numbers)
    for k, distortion in ((2, 0.3634), (4, 0.1175), (8, 0.03454), (16, 0.009497)):
        found = _kmeans.lloyd(points, _kmeans.optimal(points, k), 100)
        assert _kmeans.error(points, found) / len(numbers) == pytest.approx(distortion, rel=0.01)


def test_the_optimum_is_better_than_where_lloyd_gets_stuck():
    """Most numbers lie near zero and a few far out, as trained weights do."""
    numbers = np.random.default_rng(0).standard_t(3, 20_000).astype(np.float32)
    points = Points.of(numbers)
    best = _kmeans.error(points, _kmeans.lloyd(points, _kmeans.optimal(points, 32), 100))
    for start in (_kmeans.linear, _kmeans.density):
        assert _kmeans.error(points, _kmeans.lloyd(points, start(points, 32), 100)) > 1.05 * best


def test_bins_give_the_same_centroids_as_sorting(monkeypatch):
    numbers = np.random.default_rng(0).standard_normal(50_000).astype(np.float32)
    exact = Points.of(numbers)
    wanted = _kmeans.lloyd(exact, _kmeans.optimal(exact, 16), 100)
    monkeypatch.setattr(_kmeans, "EXACT", 10)
    monkeypatch.setattr(_kmeans, "CHUNK", 7_777)
    binned = Points.of(numbers)
    found = _kmeans.lloyd(binned, _kmeans.optimal(binned, 16), 100)
    assert binned.bins is not None
    index = _kmeans.assigned(numbers, binned, found)
    assert true_error(numbers, found, index) <= 1.0005 * _kmeans.error(exact, wanted)
    assert np.abs(numbers - found[index]).max() < np.abs(numbers[:, None] - found).min(1).max() + 1e-3


def test_bins_of_one_value_do_not_divide_by_nothing(monkeypatch):
    monkeypatch.setattr(_kmeans, "EXACT", 10)
    numbers = np.full(100, 0.5, np.float32)
    points = Points.of(numbers)
    found = _kmeans.lloyd(points, _kmeans.optimal(points, 4), 10)
    assert found[_kmeans.assigned(numbers, points, found)].tolist() == pytest.approx([0.5] * 100)


def test_linear_starts_at_equal_distances_and_density_with_equal_shares():
    points = Points.of(np.array([0, 1, 1, 2, 2, 2, 3, 9], np.float32))
    assert _kmeans.linear(points, 4).tolist() == [0, 3, 6, 9]
    assert _kmeans.density(points, 4).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("initialisation", ["optimal", "linear", "density", "random"])
def test_each_layer_has_as_many_values_as_its_bits_say_and_they_stay_shared(initialisation):
    lent = context()
    subject = sharing(3, bits_by_layer={"fc3": 1}, initialisation=initialisation).apply(lenet(), lent)
    layers = subject.model.fc1, subject.model.fc2, subject.model.fc3
    values = [different(layer.weight) for layer in layers]
    assert values[2] <= 2
    assert 4 <= values[0] <= 8
    if initialisation == "optimal":
        assert values == [8, 8, 2]
    assert subject.formats == {"fc1.weight": Codebook(3), "fc2.weight": Codebook(3), "fc3.weight": Codebook(1)}
    trained = lent.train(subject, STEP)
    assert all(constraint.holds(trained.model) for constraint in trained.constraints)
    assert [different(layer.weight) for layer in layers] <= values


def test_random_centroids_come_from_the_stage_s_generator():
    def weights(seed):
        shared = sharing(4, initialisation="random", iterations=0)
        return shared.apply(lenet(), context(seed)).model.fc1.weight

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_zeros_of_a_pruned_layer_stay_zero_and_take_no_centroid():
    subject = pruned()
    gone = subject.model.fc1.weight == 0
    before = subject.model.fc1.weight[~gone].detach().clone()
    lent = context()
    subject = sharing(3).apply(subject, lent)
    weight = subject.model.fc1.weight.detach()
    assert torch.equal(weight == 0, gone)
    assert different(weight) == 8
    assert float(((weight[~gone] - before) ** 2).mean()) < 0.05 * float(before.var())
    shared = {c.parameter: c for c in subject.constraints if isinstance(c, Shared)}
    assert torch.equal(shared["fc1.weight"].assignment < 0, gone)
    trained = lent.train(subject, STEP)
    assert torch.equal(trained.model.fc1.weight == 0, gone)
    assert different(trained.model.fc1.weight) == 8


def test_zeros_of_a_sparse_tensor_without_a_mask_get_one():
    subject = lenet()
    with torch.no_grad():
        subject.model.fc1.weight[:, ::2] = 0
    subject.formats["fc1.weight"] = Sparse()
    subject = sharing().apply(subject, context())
    masks = {c.parameter: c for c in subject.constraints if isinstance(c, Mask)}
    assert list(masks) == ["fc1.weight"]
    assert masks["fc1.weight"].keep[0, :4].tolist() == [False, True, False, True]
    assert different(subject.model.fc1.weight) == 4


def test_a_surviving_weight_that_is_zero_is_masked_too_and_there_is_one_mask():
    subject = pruned()
    where = tuple((subject.model.fc1.weight != 0).nonzero()[0])
    with torch.no_grad():
        subject.model.fc1.weight[where] = 0
    subject = sharing().apply(subject, context())
    (mask,) = (c for c in subject.constraints if isinstance(c, Mask) and c.parameter == "fc1.weight")
    assert not mask.keep[where]


def test_biases_have_a_code_book_of_their_own_if_they_are_asked_for():
    subject = sharing(3, bias_bits=2, ignore=["fc3"]).apply(lenet(), context())
    assert different(subject.model.fc1.bias) == different(subject.model.fc2.bias) == 4
    assert different(subject.model.fc3.bias) == 10
    assert subject.format_of("fc1.bias") == Codebook(2)
    assert subject.format_of("fc3.bias") == Dense()


def test_half_precision_centroids_are_representable_in_half_precision():
    subject = sharing(5, fp="fp16").apply(lenet(), context())
    weight = subject.model.fc1.weight
    assert torch.equal(weight, weight.half().float())
    assert all(constraint.holds(subject.model) for constraint in subject.constraints)


def test_weights_too_large_for_half_precision_are_refused():
    subject = lenet()
    with torch.no_grad():
        subject.model.fc2.weight[0, 0] = 1e6
    with pytest.raises(ValueError, match="which ends at 65,504"):
        sharing(8, fp="fp16").apply(subject, context())


def test_sharing_few_values_again_changes_nothing():
    subject = lenet()
    with torch.no_grad():
        subject.model.fc1.weight.copy_((subject.model.fc1.weight * 50).round() / 50)
    before = subject.model.fc1.weight.clone()
    assert torch.equal(sharing(8).apply(subject, context()).model.fc1.weight, before)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_refused(value):
    subject = lenet()
    with torch.no_grad():
        subject.model.fc2.weight[0, 0] = value
    with pytest.raises(ValueError, match="infinite or not a number"):
        sharing().apply(subject, context())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bits": 0}, "bits is 0; allowed: 1 to 8"),
        ({"bits_by_layer": {"conv": 9}}, r"bits_by_layer\.conv is 9; allowed: 1 to 8"),
        ({"bias_bits": 0}, "bias_bits is 0; allowed: 1 to 8, or null"),
        ({"iterations": -1}, "iterations is -1; allowed: 0 or more"),
        ({"initialisation": "optimum"}, "initialisation is 'optimum'; did you mean 'optimal'"),
        ({"fp": "fp8"}, "centroid_precision is 'fp8'"),
    ],
)
def test_fields_out_of_range_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        sharing(**fields)


def test_selectors_of_bits_that_match_nothing_are_named():
    with pytest.raises(ValueError, match="bits_by_layer has 'fc9', which matches no layer"):
        sharing(bits_by_layer={"fc9": 2}).apply(lenet(), context())
