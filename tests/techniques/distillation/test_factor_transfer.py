"""Factors: a paraphraser that learns to give the teacher's maps again, and a student that follows its middle."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from compressbench.core.source import Source
from compressbench.techniques.distillation._features import Pair
from compressbench.techniques.distillation.factor_transfer import FactorTransfer, Paraphraser, normal, translator
from tests.techniques.distillation.taught import EPOCH, after, context, network, seen

PAIR = Pair("conv2", "conv2", (4, 4, 4), (16, 4, 4))
FAST = replace(EPOCH, optimizer="adam", lr=0.01, schedule="constant", weight_decay=0.0)


def transfer(**changes: object) -> FactorTransfer:
    given = {"features": ["conv2"], "teacher_features": [], "rate": 0.5, "weight": 500.0}
    return FactorTransfer(Source("teacher"), **{**given, "paraphraser_training": FAST, **changes})  # type: ignore[arg-type]


def test_there_are_rate_times_as_many_factors_as_the_teacher_has_maps() -> None:
    paraphraser, maps = Paraphraser(PAIR, 0.5), torch.randn(2, 16, 4, 4)
    assert list(paraphraser.factors(maps).shape) == [2, 8, 4, 4]
    assert paraphraser(maps).shape == maps.shape
    assert list(translator(PAIR, 0.5)(torch.randn(2, 4, 4, 4)).shape) == [2, 8, 4, 4]
    assert [len(part) for part in (paraphraser.factors, paraphraser.again)] == [6, 6], "three layers each, and slopes"


def test_factors_are_compared_as_vectors_of_length_1() -> None:
    """(3, 4) and (0, 2): 0.6 and |0.8 - 1|, on average 0.4."""
    ours, theirs = torch.tensor([[[[3.0]], [[4.0]]]]), torch.tensor([[[[0.0]], [[2.0]]]])
    assert float(functional.l1_loss(normal(ours), normal(theirs))) == pytest.approx(0.4)


def test_the_paraphraser_learns_before_the_student_and_changes_neither_network() -> None:
    lent, student = context(), network(2)
    before = {name: tensor.clone() for name, tensor in lent.stages["teacher"].model.state_dict().items()}
    objective = transfer(paraphraser_training=replace(FAST, epochs=2)).objective(student, lent)
    translators, paraphrasers = objective.learned.children()  # type: ignore[union-attr]
    maps = after(lent.stages["teacher"], "conv2", lent.inputs)
    again = next(paraphrasers.children())(maps)
    assert functional.mse_loss(again, maps) < 0.5 * maps.var()
    assert not any(parameter.requires_grad for parameter in paraphrasers.parameters())
    assert all(parameter.requires_grad for parameter in translators.parameters())
    assert all(parameter.requires_grad for parameter in student.model.parameters())
    for name, tensor in student.model.state_dict().items():
        assert torch.equal(tensor, network(2).model.state_dict()[name])
    assert all(torch.equal(tensor, before[name]) for name, tensor in lent.stages["teacher"].model.state_dict().items())


def test_a_student_is_drawn_to_factors_that_stay() -> None:
    lent, student = context(), network(2)
    made = transfer(training=EPOCH).apply(student, lent)
    assert lent.trained == [FAST, EPOCH]
    assert made.model.state_dict().keys() == network(2).model.state_dict().keys()
    objective = transfer(paraphraser_training=replace(FAST, epochs=0)).objective(student, lent)
    ours, theirs = torch.randn(2, 4, 4, 4), torch.randn(2, 16, 4, 4)
    batch = replace(seen(), features={"conv2": ours}, teacher_features={"conv2": theirs})
    translators, paraphrasers = objective.learned.children()  # type: ignore[union-attr]
    with torch.no_grad():
        paraphrased = next(paraphrasers.children()).factors(theirs)  # type: ignore[operator]
        apart = (normal(next(translators.children())(ours)) - normal(paraphrased)).abs().mean()
        assert float(objective.loss(batch)) == pytest.approx(8 + 500 * float(apart))


def test_maps_of_other_sizes_and_fields_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"conv1 gives \[2, 8, 8\].*allowed: maps of the same height and width"):
        transfer(features=["conv1"], teacher_features=["conv2"]).objective(network(2), context())
    for fields in ({"rate": 0.0}, {"weight": -1.0}):
        with pytest.raises(ValueError, match=f"{next(iter(fields))} is "):
            transfer(**fields)
