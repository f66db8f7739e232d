"""Training from scratch."""

from __future__ import annotations

from typing import Any

from compressbench.techniques.training.from_scratch import FromScratch
from tests.techniques.lending import PLAIN, StageContext, subject_of, trained_by

FIELDS: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 8,
    "lr": 0.01,
    "optimizer": "sgd",
    "schedule": "constant",
    "weight_decay": 0.0,
}


def test_it_trains_the_network_with_its_own_fields() -> None:
    context = StageContext()
    technique = trained_by(FromScratch, **FIELDS)
    subject = subject_of("compressbench.zoo.alexnet.AlexNet", **PLAIN)
    before = subject.model.get_parameter("conv1.weight").detach().clone()
    result = technique.apply(subject, context)
    assert context.trained == [technique.training]
    assert not result.model.get_parameter("conv1.weight").equal(before)
