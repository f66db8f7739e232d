"""Random weights: the counts of magnitude pruning, the choice of the generator."""

import pytest
import torch

from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.pruning.random_weights import RandomWeightPruning
from tests.techniques.lending import StageContext, subject_of


def masks(technique, seed: int = 0) -> dict[str, torch.Tensor]:
    subject = subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)
    subject = technique.apply(subject, StageContext(1, 8, seed=seed))
    return {constraint.parameter: constraint.keep for constraint in subject.constraints}


def chance(scope: str = "per_layer", ratios: dict[str, float] | None = None) -> RandomWeightPruning:
    return RandomWeightPruning(["linear"], 0.9, ratios or {}, ["last"], scope)


def test_it_leaves_as_many_weights_of_each_layer_as_magnitude_pruning():
    by_size = masks(MagnitudePruning(["linear"], 0.9, {"fc1": 0.5}, ["last"], "per_layer", 1, None))
    by_chance = masks(chance(ratios={"fc1": 0.5}))
    assert {n: int(k.sum()) for n, k in by_chance.items()} == {n: int(k.sum()) for n, k in by_size.items()}


def test_the_seed_of_the_stage_decides_which():
    first, again, other = (masks(chance(), seed)["fc1.weight"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert int((first & other).sum()) == pytest.approx(0.1 * 0.1 * 19_200, rel=0.3)


def test_one_pool_for_all_layers_keeps_the_total():
    assert sum(int(keep.sum()) for keep in masks(chance("global")).values()) == (19_200 + 30_000) // 10


def test_pruning_by_chance_ignores_the_size_of_the_weights():
    subject = subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)
    before = subject.model.fc2.weight.detach().abs()
    kept = masks(chance())["fc2.weight"]
    assert float(before[kept].mean()) == pytest.approx(float(before.mean()), rel=0.05)


def test_chance_after_the_criterion_or_after_itself_finds_nothing_left_to_do():
    by_size = MagnitudePruning(["linear"], 0.9, {}, ["last"], "per_layer", 1, None)
    for earlier in (by_size, chance()):
        fault = chance().fault_after([earlier])
        assert fault is not None
        assert "prunes the same weights again" in fault
    assert chance("global").fault_after([by_size]) is None
    assert by_size.fault_after([RandomWeightPruning(["linear"], 0.5, {}, ["last"], "per_layer")]) is None
