"""Contrastive representation distillation: the loss by hand, the features it finds, and a student that learns."""

from __future__ import annotations

from math import exp, log
from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.objective import Seen
from compressbench.core.source import Source
from compressbench.techniques.distillation._penultimate import penultimate
from compressbench.techniques.distillation.crd import ContrastiveRepresentationDistillation, contrast
from tests.techniques.lending import ALEXNET, BND, StageContext, bare, seeded, subject_of, trained_by
from tests.techniques.quantization.learned import FIELDS, DigitsContext, accuracy, learned


def crd(**changes: Any) -> ContrastiveRepresentationDistillation:
    given = {"contrast": 0.8, "softened": 0.0, "temperature": 4.0, "tau": 0.5, "size": 8, "layer": None}
    given |= {"teacher": Source("teacher"), "teacher_layer": None}
    return trained_by(ContrastiveRepresentationDistillation, **{**FIELDS, **given, **changes})


def test_the_loss_is_the_papers_with_the_batch_for_a_memory() -> None:
    """Three images, the last two of one class, which are no negatives of each other: N = 2, 1, 1."""
    scores = [[1.0, 0.5, -1.0], [0.0, 2.0, 9.0], [0.25, 9.0, 3.0]]
    negative = torch.tensor([[False, True, True], [True, False, False], [True, False, False]])
    counts = (2, 1, 1)

    def h(score: float, image: int) -> float:
        return exp(score) / (exp(score) + counts[image])

    own = sum(log(h(scores[i][i], i)) for i in range(3))
    pairs = [(0, 1), (0, 2), (1, 0), (2, 0)]
    of_students = sum(log(1 - h(scores[i][j], i)) for i, j in pairs)
    of_teachers = sum(log(1 - h(scores[i][j], j)) for i, j in pairs)
    expected = -(2 * own + of_students + of_teachers) / 3
    assert float(contrast(torch.tensor(scores), negative)) == pytest.approx(expected, rel=1e-5)


def test_all_parts_of_the_loss_are_weighed() -> None:
    """One image of a class has no negatives; its projections are alike: s / tau = 1 / 0.5, twice -log h(2)."""
    features = torch.tensor([[1.0, 2.0]])
    logits, theirs = torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, 4 * log(3)]])
    twice = nn.ModuleList([nn.Identity(), nn.Identity()])
    seen = Seen(
        features,
        torch.tensor([1]),
        logits,
        lambda: torch.tensor(8.0),
        {"a": features / 5**0.5},
        theirs,
        {"b": features / 5**0.5},
    )
    own = -2 * log(exp(2) / (exp(2) + 1))
    assert float(crd().loss(twice, "a", "b", seen)) == pytest.approx(8 + 0.8 * own)
    apart = 0.25 * log(0.5) + 0.75 * log(1.5)
    assert float(crd(softened=0.5).loss(twice, "a", "b", seen)) == pytest.approx(8 + 0.8 * own + 0.5 * 16 * apart)


def context() -> StageContext:
    found = StageContext(side=8, classes=2)
    found.stages["teacher"] = bare(
        seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.ReLU(), nn.Linear(5, 2)))
    )
    return found


def test_features_are_what_the_last_linear_layer_reads_and_projections_have_length_1() -> None:
    found = crd().objective(bare(nn.Sequential(nn.Flatten(), nn.Linear(192, 7), nn.Tanh(), nn.Linear(7, 2))), context())
    assert (found.features, found.teacher_features) == (("2",), ("2",))
    assert found.learned is not None
    shapes = [tuple(parameter.shape) for parameter in found.learned.parameters()]
    assert shapes == [(8, 7), (8,), (8, 5), (8,)]
    projected = found.learned[0](torch.randn(3, 7, generator=torch.Generator().manual_seed(0)))  # type: ignore[index]
    assert projected.norm(dim=1).tolist() == pytest.approx([1.0] * 3, rel=1e-5)


@pytest.mark.parametrize(
    ("target", "arguments", "name", "size"),
    [
        ("compressbench.zoo.resnet_cifar.ResNetCifar", {"depth": 8}, "pool", 64),
        (ALEXNET, BND, "relu_fc2", 512),
        (ALEXNET, {**BND, "hidden": []}, "flatten", 256),
    ],
)
def test_the_penultimate_features_of_our_networks_are_found(
    target: str, arguments: dict[str, Any], name: str, size: int
) -> None:
    assert penultimate(subject_of(target, **arguments).model, torch.zeros(1, 3, 32, 32), None, "layer") == (name, size)


def test_a_layer_that_is_not_there_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    with pytest.raises(ValueError, match="layer is 'fc', which Sequential lacks"):
        crd(layer="fc").objective(bare(network), context())
    with pytest.raises(ValueError, match="teacher_layer is '9', which Sequential lacks"):
        crd(teacher_layer="9").objective(bare(network), context())
    with pytest.raises(ValueError, match="no module of Conv2d gives such features; name one"):
        penultimate(nn.Conv2d(3, 2, 3), torch.zeros(1, 3, 8, 8), None, "layer")


def test_a_student_learns_the_digits_with_its_teachers_features() -> None:
    lent = DigitsContext()
    lent.stages["teacher"] = learned()
    student = bare(seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))))
    assert accuracy(crd(epochs=4, lr=0.02).apply(student, lent)) > 0.85


def test_numbers_are_no_labels() -> None:
    seen = Seen(torch.ones(1), torch.ones(1, 1), torch.ones(1, 2), lambda: torch.tensor(1.0))
    with pytest.raises(ValueError, match="targets have to be labels"):
        crd().loss(nn.ModuleList(), "a", "b", seen)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"contrast": -1.0}, r"contrast is -1.0; allowed: 0 or more"),
        ({"softened": -1.0}, r"softened is -1.0; allowed: 0 or more"),
        ({"tau": 0.0}, r"tau is 0.0; allowed: more than 0"),
        ({"size": 0}, r"size is 0; allowed: 1 or more"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        crd(**fields)
