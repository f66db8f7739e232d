"""Magnitude pruning leaves exactly the weights it should, and they stay the only ones."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from compressbench.core.constraint import Mask
from compressbench.core.format import Sparse
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning import _ranking
from compressbench.techniques.pruning._ranking import apportion, highest, smallest
from compressbench.techniques.pruning.l1_norm import L1NormPruning
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from tests.techniques.lending import ALEXNET, PLAIN, StageContext, bare, subject_of

STEP = TrainingConfig(epochs=1, batch_size=8, lr=0.05, optimizer="sgd", schedule="constant", weight_decay=0.0)
BOTH = ["conv", "linear"]


def magnitude(ratio=0.5, ratios=None, targets=BOTH, ignore=(), scope="per_layer", rounds=1, retrain=None):
    return MagnitudePruning(list(targets), ratio, ratios or {}, list(ignore), scope, rounds, retrain)


def lenet(scale_of_fc1: float = 1.0):
    subject = subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)
    with torch.no_grad():
        subject.model.fc1.weight.mul_(scale_of_fc1)
    return subject


def context() -> StageContext:
    return StageContext(channels=1, side=8)


def zeros(model: nn.Module) -> dict[str, int]:
    return {n: int((p == 0).sum()) for n, p in model.named_parameters() if p.dim() > 1}


def test_the_smallest_weights_of_each_layer_go_and_biases_stay():
    subject = lenet()
    before = {name: parameter.detach().clone() for name, parameter in subject.model.named_parameters()}
    model = magnitude(0.9).apply(subject, context()).model
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert torch.equal(parameter, before[name])
            continue
        gone = parameter == 0
        assert int(gone.sum()) == pytest.approx(0.9 * parameter.numel(), abs=1)
        assert before[name][gone].abs().max() <= before[name][~gone].abs().min()
        assert torch.equal(parameter[~gone], before[name][~gone])


def test_layers_compete_only_within_the_scope():
    """fc1 is made a million times smaller: 19,200 weights of 50,200."""
    per_layer = zeros(magnitude(0.3).apply(lenet(1e-6), context()).model)
    of_all = zeros(magnitude(0.3, scope="global").apply(lenet(1e-6), context()).model)
    assert per_layer == {"fc1.weight": 5_760, "fc2.weight": 9_000, "fc3.weight": 300}
    assert of_all == {"fc1.weight": 15_060, "fc2.weight": 0, "fc3.weight": 0}


def test_each_kind_of_layer_has_a_threshold_of_its_own():
    subject = subject_of(ALEXNET, **PLAIN)
    pruning = magnitude(0.0, {"conv": 0.6, "linear": 0.7}, scope="per_kind")
    model = pruning.apply(subject, StageContext()).model
    for kind in ("conv", "fc"):
        weights = [p.detach() for n, p in model.named_parameters() if n.startswith(kind) and p.dim() > 1]
        lowest = [float(weight[weight != 0].abs().min()) for weight in weights]
        assert max(lowest) < 1.2 * min(lowest) + 1e-3, "one threshold for all of them"
    counts = zeros(model)
    conv = sum(count for name, count in counts.items() if name.startswith("conv"))
    linear = sum(count for name, count in counts.items() if name.startswith("fc"))
    assert (conv, linear) == (2_468_544 - 987_417, 398_336 - 119_501)


def test_layers_that_are_kept_stay_dense():
    assert zeros(magnitude(0.5, ignore=["last"]).apply(lenet(), context()).model)["fc3.weight"] == 0


def test_masks_hold_through_training_and_tensors_are_stored_sparse():
    lent, subject = context(), magnitude(0.8).apply(lenet(), context())
    assert {mask.parameter for mask in subject.constraints} == {"fc1.weight", "fc2.weight", "fc3.weight"}
    assert subject.formats == dict.fromkeys(["fc1.weight", "fc2.weight", "fc3.weight"], Sparse())
    before = zeros(subject.model)
    trained = lent.train(subject, STEP)
    assert zeros(trained.model) == before
    assert all(constraint.holds(trained.model) for constraint in trained.constraints)


def test_rounds_prune_in_geometric_steps_and_train_in_between():
    lent, seen = context(), []
    real = lent.train

    def train(subject, training, objective=None, hooks=()):
        seen.append(1 - zeros(subject.model)["fc1.weight"] / 19_200)
        return real(subject, training, objective, hooks)

    lent.train = train
    subject = magnitude(0.875, rounds=3, retrain=STEP).apply(lenet(), lent)
    assert seen == pytest.approx([0.5, 0.25], abs=1e-4)
    assert lent.trained == [STEP, STEP]
    assert zeros(subject.model)["fc1.weight"] == 16_800
    assert len(subject.constraints) == 3, "each round's mask takes the place of the one before"


def test_weights_once_pruned_stay_so_even_if_they_have_grown():
    subject = magnitude(0.5).apply(lenet(), context())
    gone = subject.model.fc1.weight == 0
    with torch.no_grad():
        subject.model.fc1.weight[gone] = 5.0  # as if a constraint had not been enforced
    subject = magnitude(0.6).apply(subject, context())
    assert not subject.model.fc1.weight[gone].any()
    assert zeros(subject.model)["fc1.weight"] == 11_520


def test_a_layer_is_never_left_without_a_weight_and_that_is_reported():
    subject = magnitude(0.9, scope="global").apply(lenet(1e-6), context())
    assert zeros(subject.model)["fc1.weight"] == 19_199
    assert [skipped.what for skipped in subject.skipped] == ["fc1"]


def test_equal_weights_go_from_the_back_so_that_the_count_is_exact():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    nn.init.ones_(model[1].weight)
    magnitude(0.5).apply(bare(model), StageContext(1, 2))
    assert model[1].weight.flatten().tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


def test_counts_are_shared_out_by_largest_remainder():
    asked = [Fraction("987417.6"), Fraction("119500.8")]
    assert apportion(asked) == [987_417, 119_501]
    assert apportion([Fraction("0.5"), Fraction("0.5"), Fraction("0.5")]) == [1, 1, 0]
    assert apportion([Fraction(3), Fraction(4)]) == [3, 4]


def test_the_highest_keys_are_found_among_equals_and_extremes():
    keys = np.array([3, 1, 3, 2], dtype=np.uint32)
    assert highest(keys, 1).tolist() == [True, False, False, False]
    assert highest(keys, 3).tolist() == [True, False, True, True]
    assert highest(keys, 0).tolist() == [False] * 4
    assert highest(keys, 4).tolist() == [True] * 4


@pytest.mark.parametrize("spread", [1, 3, 1 << 16, 1 << 31])
def test_every_rank_is_found_as_by_sorting(spread, monkeypatch):
    monkeypatch.setattr(_ranking, "CHUNK", 100)
    keys = np.random.default_rng(0).integers(0, spread, 1_001, dtype=np.uint32)
    ranks = [0, 1, 499, 500, 1_000]
    assert [smallest(keys, rank) for rank in ranks] == np.sort(keys)[ranks].tolist()


def test_weights_that_are_not_numbers_are_refused():
    subject = lenet()
    with torch.no_grad():
        subject.model.fc2.weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match="not a number"):
        magnitude(0.5).apply(subject, context())


def test_filters_may_be_removed_before_weights():
    subject = L1NormPruning(["conv"], 0.5, {}, [], 1).apply(subject_of(ALEXNET, **PLAIN), StageContext())
    subject = magnitude(0.5).apply(subject, StageContext())
    assert all(constraint.keep.shape == subject.model.get_parameter(constraint.parameter).shape
               for constraint in subject.constraints if isinstance(constraint, Mask))  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rounds": 0}, "rounds is 0; allowed: 1 or more"),
        ({"rounds": 2}, "retrain is None with rounds 2"),
        ({"scope": "per_network"}, "scope is 'per_network'"),
        ({"scope": "global", "ratios": {"conv": 0.5}}, "with scope global there is one pool"),
        ({"scope": "per_kind", "ratios": {"fc1": 0.5}}, "with scope per_kind allowed: conv, linear, "),
        ({"ratio": 1.0}, "ratio is 1.0; allowed: 0 or more and less than 1"),
        ({"ratios": {"conv": 1.5}}, r"ratios\.conv is 1\.5"),
    ],
)
def test_fields_out_of_range_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        magnitude(**fields)


@pytest.mark.parametrize(
    ("earlier", "later", "again"),
    [
        (magnitude(0.5), magnitude(0.5), True),
        (magnitude(0.8), magnitude(0.5), True),
        (magnitude(0.5), magnitude(0.8), False),
        (magnitude(0.0, {"conv": 0.6, "linear": 0.7}), magnitude(0.0, {"conv": 0.6, "linear": 0.7}), True),
        (magnitude(0.0, {"conv": 0.6, "linear": 0.7}), magnitude(0.0, {"conv": 0.7, "linear": 0.7}), False),
        (magnitude(0.5, targets=["conv"]), magnitude(0.5, targets=["linear"]), False),
        (L1NormPruning(["conv"], 0.9, {}, [], 1), magnitude(0.5), False),
    ],
)
def test_pruning_the_same_weights_again_is_found_before_anything_runs(earlier, later, again):
    fault = later.fault_after([earlier])
    assert (fault is not None) == again
    assert fault is None or "prunes the same weights again" in fault
