"""Training a masked network from the weights of an earlier stage."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.constraint import Mask
from compressbench.core.source import Source
from compressbench.techniques.training.rewind import Rewind
from tests.techniques.lending import PLAIN, StageContext, bare, subject_of, trained_by
from tests.techniques.training.test_from_scratch import FIELDS

ALEXNET = "compressbench.zoo.alexnet.AlexNet"
STILL: dict[str, Any] = {**FIELDS, "budget": "epochs", "lr": 1e-12}
"""Trains so slowly that the weights after it are those before it."""


def test_a_masked_network_takes_the_weights_of_an_earlier_stage() -> None:
    context, subject = StageContext(), subject_of(ALEXNET, **PLAIN)
    context.stages["start"] = subject.clone()
    keep = subject.model.get_parameter("fc1.weight") > 0
    subject.constraints.append(Mask("fc1.weight", keep))
    with torch.no_grad():
        for parameter in subject.model.parameters():
            parameter.add_(1)
    start = context.subject_of(Source("start")).model
    result = trained_by(Rewind, **{**STILL, "to": "start"}).apply(subject, context)
    assert torch.allclose(result.model.get_parameter("conv1.weight"), start.get_parameter("conv1.weight"))
    assert torch.allclose(result.model.get_parameter("fc1.weight"), start.get_parameter("fc1.weight") * keep)


def test_removed_filters_cannot_be_rewound_to_a_stage() -> None:
    context = StageContext()
    context.stages["train"] = bare(nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)))
    subject = bare(nn.Sequential(nn.Flatten(), nn.Linear(3072, 9)))
    with pytest.raises(ValueError, match=r"to is 'train', but 1\.weight has another shape.*reinitialize draws new"):
        trained_by(Rewind, **{**STILL, "to": "train"}).apply(subject, context)


def test_an_unknown_stage_names_those_there_are() -> None:
    context = StageContext()
    context.stages["start"] = bare(nn.Linear(1, 1))
    with pytest.raises(ValueError, match="there are: start"):
        trained_by(Rewind, **{**STILL, "to": "strat"}).apply(subject_of(ALEXNET, **PLAIN), context)


def test_a_budget_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match="budget is 'mac'; did you mean 'macs'"):
        trained_by(Rewind, **{**STILL, "to": "start", "budget": "mac"})
