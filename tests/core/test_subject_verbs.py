"""What techniques do to a subject, so that nobody edits its lists by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compressbench.core.constraint import Frozen, Mask
from compressbench.core.format import Codebook, Sparse
from compressbench.core.subject import Subject
from tests.techniques.lending import bare


@pytest.fixture
def subject() -> Subject:
    """A linear layer and a batch norm, all promised and stored in some way."""
    made = bare(nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1)))
    made.constrain(Mask("0.weight", torch.tensor([[True, False]])))
    made.constrain(Frozen("0.weight", torch.tensor([[True, False]]), torch.ones(1, 2)))
    made.constrain(Frozen("1.weight", torch.tensor([True]), torch.ones(1)))
    made.store("0.weight", Sparse())
    made.store("1.weight", Codebook(1))
    return made


def promises(subject: Subject) -> list[tuple[str, str]]:
    return [(type(each).__name__, getattr(each, "parameter", "")) for each in subject.constraints]


def test_a_mask_is_found_by_its_parameter(subject: Subject) -> None:
    mask = subject.mask("0.weight")
    assert mask is not None
    assert mask.tolist() == [[True, False]]
    assert subject.mask("0.bias") is None


def test_a_promise_takes_the_place_of_one_of_its_kind_and_leaves_the_others(subject: Subject) -> None:
    subject.constrain(Mask("0.weight", torch.tensor([[False, True]])))
    assert promises(subject) == [("Frozen", "0.weight"), ("Frozen", "1.weight"), ("Mask", "0.weight")]
    mask = subject.mask("0.weight")
    assert mask is not None
    assert mask.tolist() == [[False, True]]


def test_promises_for_a_while_end_with_it_and_stand_beside_the_others(subject: Subject) -> None:
    before = promises(subject)
    mask = Mask("0.weight", torch.ones(1, 2, dtype=torch.bool))
    with subject.constrained([mask]):
        assert promises(subject) == [*before, ("Mask", "0.weight")]
    assert promises(subject) == before
    with pytest.raises(RuntimeError), subject.constrained([mask]):
        raise RuntimeError
    assert promises(subject) == before


def test_a_parameter_is_released_from_all_but_what_is_named(subject: Subject) -> None:
    subject.release("0.weight", but=(Mask, Sparse))
    assert promises(subject) == [("Mask", "0.weight"), ("Frozen", "1.weight")]
    assert subject.formats == {"0.weight": Sparse(), "1.weight": Codebook(1)}
    subject.release("0.weight")
    assert promises(subject) == [("Frozen", "1.weight")]
    assert subject.formats == {"1.weight": Codebook(1)}


def test_promises_follow_a_parameter_to_its_new_name(subject: Subject) -> None:
    subject.rename({"0.weight": "first.weight"})
    assert promises(subject) == [("Mask", "first.weight"), ("Frozen", "first.weight"), ("Frozen", "1.weight")]


def test_what_was_said_of_a_module_goes_with_it_but_for_the_tensors_it_leaves_behind(subject: Subject) -> None:
    old = subject.model.get_submodule("0")
    new = nn.Linear(2, 1)
    new.weight = old.get_parameter("weight")
    subject.replace_module("0", new)
    assert subject.model.get_submodule("0") is new
    assert ("Mask", "0.weight") in promises(subject)
    subject.replace_module("1", nn.Identity())
    assert promises(subject) == [("Mask", "0.weight"), ("Frozen", "0.weight")]
    assert subject.formats == {"0.weight": Sparse()}
    subject.replace_module("0", nn.Linear(2, 1))
    assert (subject.constraints, subject.formats) == ([], {})
