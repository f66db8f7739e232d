"""Sparsity training for network slimming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.objective import Hook
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.techniques.training.sparsity_training import SparsityTraining, scales
from tests.techniques.lending import PLAIN, SLIMMING, StageContext, subject_of, trained_by
from tests.techniques.training.test_from_scratch import FIELDS


class Recording(StageContext):
    """Keeps the hooks it was given."""

    hooks: Sequence[Hook] = ()

    def train(
        self, subject: Subject, training: TrainingConfig, objective: Any = None, hooks: Sequence[Hook] = ()
    ) -> Subject:
        self.hooks = hooks
        return super().train(subject, training, objective, hooks)


def slimmed(scale_l1: float, scale_init: float | None = 0.5, **others: Any) -> tuple[Subject, Recording]:
    context = Recording()
    technique = trained_by(SparsityTraining, **{**FIELDS, **others}, scale_l1=scale_l1, scale_init=scale_init)
    subject = subject_of("compressbench.zoo.alexnet.AlexNet", **SLIMMING)
    return technique.apply(subject, context), context


def test_the_penalty_adds_lambda_times_the_sign_of_every_scale() -> None:
    subject, context = slimmed(0.25)
    with torch.no_grad():
        scales(subject.model)[0][:3] = torch.tensor([2.0, -3.0, 0.0])
    for scale in scales(subject.model):
        scale.grad = torch.ones_like(scale)
    weight = subject.model.get_parameter("conv1.weight")
    weight.grad = torch.ones_like(weight)
    (hook,) = context.hooks
    assert hook.after_backward is not None
    hook.after_backward(subject.model)
    gradient = scales(subject.model)[0].grad
    assert gradient is not None
    assert gradient[:3].tolist() == [1.25, 0.75, 1.0]
    assert weight.grad.eq(1).all()


def test_a_strong_penalty_shrinks_the_scales() -> None:
    def size(subject: Subject) -> float:
        return sum(float(scale.detach().abs().sum()) for scale in scales(subject.model))

    (weak, _), (strong, _) = slimmed(0.0, epochs=5), slimmed(0.5, epochs=5)
    assert size(strong) < 0.9 * size(weak)


def test_scales_start_from_one_half_or_are_left_alone() -> None:
    halved, _ = slimmed(0.0, lr=1e-12)
    assert all(torch.allclose(scale, torch.full_like(scale, 0.5)) for scale in scales(halved.model))
    left, _ = slimmed(0.0, None, lr=1e-12)
    assert all(torch.allclose(scale, torch.ones_like(scale)) for scale in scales(left.model))


def test_all_1152_scales_of_the_slimming_alexnet_are_found() -> None:
    subject = subject_of("compressbench.zoo.alexnet.AlexNet", **SLIMMING)
    assert sum(scale.numel() for scale in scales(subject.model)) == 1152
    assert scales(nn.BatchNorm2d(4, affine=False)) == []


def test_a_network_without_batch_normalisation_is_refused_in_words() -> None:
    technique = trained_by(SparsityTraining, **FIELDS, scale_l1=1e-4, scale_init=0.5)
    with pytest.raises(ValueError, match="no BatchNorm2d"):
        technique.apply(subject_of("compressbench.zoo.alexnet.AlexNet", **PLAIN), StageContext())


def test_batch_norms_that_nothing_pulls_on_are_reported() -> None:
    subject = subject_of("compressbench.zoo.vgg_cifar.VGG16Cifar")
    trained_by(SparsityTraining, **FIELDS, scale_l1=1e-4, scale_init=0.5).apply(subject, StageContext())
    assert [skipped.what for skipped in subject.skipped] == ["bn_fc1"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scale_l1", -1e-4),
        ("scale_l1", float("nan")),
        ("scale_init", 0.0),
        ("scale_init", float("inf")),
        ("epochs", -1),
    ],
)
def test_values_out_of_range_are_named(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{key} is {value}; allowed"):
        trained_by(SparsityTraining, **{**FIELDS, "scale_l1": 1e-4, "scale_init": 0.5, key: value})
