"""The contract of techniques catches what breaks it, in words."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from compressbench.core.format import Codebook
from compressbench.core.technique import Technique
from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.testing import technique_contract
from tests.techniques.lending import ALEXNET, PLAIN, subject_of


@dataclass(frozen=True)
class Halve(Technique):
    """A sound one, whose faults the others add."""

    times: int = 1
    adds = frozenset({"retrained"})

    def __post_init__(self):
        if self.times < 0:
            raise ValueError(f"times is {self.times}; allowed: 0 or more")

    def apply(self, subject, context):
        with torch.no_grad():
            for parameter in subject.model.parameters():
                parameter.mul_(0.5**self.times)
        return subject


class DrawsGlobally(Halve):
    def apply(self, subject, context):
        torch.rand(1)
        return super().apply(subject, context)


class IsNeverTheSame(Halve):
    seen = 0

    def apply(self, subject, context):
        IsNeverTheSame.seen += 1
        subject.model.fc.bias.data += IsNeverTheSame.seen
        return subject


class Freezes(Halve):
    def apply(self, subject, context):
        subject.model.requires_grad_(False)
        return subject


class StoresWhatDoesNotFit(Halve):
    def apply(self, subject, context):
        subject.formats["fc.weight"] = Codebook(1)
        return subject


class BreaksItsPromise:
    def enforce(self, model):
        pass

    def holds(self, model):
        return bool((model.fc.bias == 0).all())


class Promises(Halve):
    def apply(self, subject, context):
        subject.model.fc.bias.data.zero_()
        subject.constraints.append(BreaksItsPromise())
        return subject


class SaysNothing(Halve):
    adds = frozenset()


class SaysNonsense(Halve):
    needs = frozenset({"luck"})


class TakesAnything(Halve):
    def __post_init__(self):
        pass


class NamesNoKey(Halve):
    def __post_init__(self):
        if self.times < 0:
            raise ValueError("too few")


def test_a_sound_technique_keeps_it() -> None:
    technique_contract(Halve())


def test_it_can_be_asked_of_another_network_and_after_other_techniques() -> None:
    subject, task = subject_of(ALEXNET, 1, 2, **PLAIN), ImageClassification([1, 32, 32], 2)
    pruning = MagnitudePruning(["conv"], 0.5, {}, [], "per_layer", 1, None)
    technique_contract(Halve(2), subject, task, before=[pruning])


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (DrawsGlobally, "draws from a global generator"),
        (IsNeverTheSame, r"fc\.bias differs"),
        (Freezes, "cannot be trained any more"),
        (Promises, "after a training .* do not hold"),
        (SaysNothing, "adds nothing"),
        (SaysNonsense, "luck"),
        (TakesAnything, "times=-1 is not refused"),
        (NamesNoKey, "does not name the key: too few"),
    ],
)
def test_what_breaks_it_is_said(broken: type[Halve], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        technique_contract(broken())


def test_a_format_that_does_not_fit_is_said_as_in_a_run() -> None:
    with pytest.raises(ValueError, match=r"fc\.weight cannot be stored as Codebook"):
        technique_contract(StoresWhatDoesNotFit())
