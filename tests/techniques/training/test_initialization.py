"""The weights that a network starts from."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.constraint import Mask
from compressbench.core.technique import Technique
from compressbench.techniques.training._initialization import initialize
from compressbench.techniques.training.finetune import Finetune
from compressbench.techniques.training.from_scratch import FromScratch
from compressbench.techniques.training.sparsity_training import SparsityTraining
from tests.techniques.lending import ALEXNET, BND, PLAIN, SLIMMING, StageContext, bare, subject_of, trained_by
from tests.techniques.training.test_from_scratch import FIELDS

STILL: dict[str, Any] = {**FIELDS, "lr": 1e-12}
"""Trains so slowly that the weights after it are those before it."""
OF_SLIMMING: dict[str, Any] = {**STILL, "scale_l1": 0.0, "scale_init": None}


def drawn(model: nn.Module, seed: int = 0, init: str = "he_fan_out") -> dict[str, Tensor]:
    initialize(model, init, torch.Generator().manual_seed(seed))
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def test_the_first_convolution_is_drawn_by_its_64_filters_of_11_by_11() -> None:
    found = drawn(subject_of(ALEXNET, **BND).model)
    # 23,232 weights, so that the deviation is known to about half a percent.
    assert float(found["conv1.weight"].std()) == pytest.approx((2 / (64 * 121)) ** 0.5, rel=0.02)
    assert float(found["conv1.weight"].mean()) == pytest.approx(0, abs=0.0005)
    assert float(found["conv1.weight"].abs().max()) > 3 * (2 / (64 * 121)) ** 0.5, "a normal draw, not a uniform one"


def test_linear_layers_have_deviation_0_01_and_all_biases_are_zero() -> None:
    found = drawn(subject_of(ALEXNET, **BND).model)
    assert float(found["fc2.weight"].std()) == pytest.approx(0.01, rel=0.01)
    biases = [name for name in found if name.endswith(".bias")]
    assert len(biases) == 5 + 5 + 3
    assert all(found[name].eq(0).all() for name in biases)


def test_scales_of_batch_normalisation_are_one_half() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4))
    found = drawn(model)
    assert found["1.weight"].eq(0.5).all()
    assert found["3.weight"].eq(0.5).all()
    drawn(nn.Sequential(nn.BatchNorm2d(4, affine=False)))


def test_other_layers_stay_as_they_were_built() -> None:
    assert drawn(nn.PReLU(3))["weight"].eq(0.25).all()


def test_torch_leaves_the_network_as_it_was_built() -> None:
    model = subject_of(ALEXNET, **BND).model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert all(torch.equal(before[name], tensor) for name, tensor in drawn(model, init="torch").items())


def test_the_same_seed_gives_the_same_weights_and_the_global_state_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    first, same, other = (drawn(subject_of(ALEXNET, **PLAIN).model, seed) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "technique",
    [
        trained_by(FromScratch, **STILL, init="he_fan_out"),
        trained_by(SparsityTraining, **OF_SLIMMING, init="he_fan_out"),
    ],
)
def test_training_starts_from_weights_that_its_stage_draws(technique: FromScratch | SparsityTraining) -> None:
    expected = drawn(subject_of(ALEXNET, **SLIMMING).model, seed=5)
    result = technique.apply(subject_of(ALEXNET, **SLIMMING), StageContext(seed=5))
    for name, parameter in result.model.named_parameters():
        assert torch.allclose(parameter.detach(), expected[name], atol=1e-6), name


def test_a_scale_that_slimming_asks_for_wins() -> None:
    technique = trained_by(SparsityTraining, **{**OF_SLIMMING, "scale_init": 0.75}, init="he_fan_out")
    result = technique.apply(subject_of(ALEXNET, **SLIMMING), StageContext())
    assert torch.allclose(result.model.get_parameter("bn3.weight").detach(), torch.tensor(0.75))


def test_masks_are_kept() -> None:
    keep = torch.arange(36).view(3, 12) % 2 == 0
    subject = bare(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)))
    subject.constraints.append(Mask("1.weight", keep))
    with torch.no_grad():
        subject.enforce()
    result = trained_by(FromScratch, **{**STILL, "epochs": 1}, init="he_fan_out").apply(
        subject, StageContext(side=2, classes=3)
    )
    assert torch.equal(result.model.get_parameter("1.weight") != 0, keep)


@pytest.mark.parametrize(("init", "refused"), [("torch", False), ("he_fan_out", True)])
def test_new_weights_are_not_drawn_over_trained_ones(init: str, refused: bool) -> None:
    earlier: list[Technique] = [trained_by(FromScratch, **FIELDS), trained_by(Finetune, **FIELDS)]
    fault = trained_by(SparsityTraining, **OF_SLIMMING, init=init).fault_after(earlier)
    assert (fault is not None) == refused
    assert trained_by(SparsityTraining, **OF_SLIMMING, init=init).fault_after([]) is None


@pytest.mark.parametrize("technique", [FromScratch, SparsityTraining])
def test_an_unknown_start_is_met_with_the_nearest(technique: type[FromScratch | SparsityTraining]) -> None:
    fields = FIELDS if technique is FromScratch else OF_SLIMMING
    with pytest.raises(ValueError, match="init is 'he_fan_in'; did you mean 'he_fan_out'"):
        trained_by(technique, **fields, init="he_fan_in")
