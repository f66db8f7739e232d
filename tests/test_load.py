"""A loaded network says how it is fed and what its classes are called, whatever its file notes."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import compressbench
from compressbench.core.subject import Subject
from compressbench.data.digits import Digits
from compressbench.packing.feeding import noted
from compressbench.packing.packed_file import read, write
from tests.cli.test_packed import LENET


def loaded(note: dict[str, Any]) -> Any:
    write(Subject(LENET.build(), LENET), Path("model.cbp"), note)
    return compressbench.load("model.cbp")


FED = noted(Digits().task.preprocessing, Digits().class_names())


def test_a_network_takes_what_it_makes_of_pictures() -> None:
    model, test = loaded(FED), Digits().load().test
    images, _ = next(test.batches(5))
    pixels = test.images[:5]  # type: ignore[attr-defined]
    assert torch.equal(model.preprocess(pixels), images)
    assert torch.equal(model(model.preprocess(list(pixels))), model(images))
    assert model.classes == [str(digit) for digit in range(10)]
    assert model.preprocess.how == Digits().task.preprocessing


def test_it_stays_a_module_that_can_be_copied_pickled_and_saved() -> None:
    model = loaded(FED)
    assert isinstance(model, nn.Module)
    plain = read(Path("model.cbp")).model
    assert list(model.state_dict()) == list(plain.state_dict())
    assert [name for name, _ in model.named_modules()] == [name for name, _ in plain.named_modules()]
    picture = torch.zeros(1, 32, 32, dtype=torch.uint8)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again.classes == model.classes
        assert torch.equal(again(again.preprocess(picture)), model(model.preprocess(picture)))


def test_a_file_that_notes_nothing_loads_and_says_what_is_missing_when_it_is_to_be_fed() -> None:
    model = loaded({})
    assert model.classes is None
    assert model(torch.zeros(1, 1, 32, 32)).shape == (1, 10)
    with pytest.raises(ValueError, match=r"does not say how pictures become what its network takes: .*`preprocessing`"):
        model.preprocess(torch.zeros(1, 32, 32, dtype=torch.uint8))
    with pytest.raises(ValueError, match="does not say"):
        pickle.loads(pickle.dumps(model)).preprocess("anything")


@pytest.mark.parametrize(
    "strange",
    [
        {"preprocessing": "os.system", "classes": "os.system"},
        {"preprocessing": {"__class__": 1}, "classes": {"__reduce__": []}},
        {"preprocessing": FED["preprocessing"] | {"size": [10**9, 10**9]}, "classes": 10**9},
        {"preprocessing": [[[[[[]]]]]], "classes": [[[[[[]]]]]]},
        {"preprocessing": None, "classes": None},
    ],
)
def test_a_strange_note_costs_no_more_than_feeding_the_network(strange: dict[str, Any]) -> None:
    model = loaded(strange)
    assert model.classes is None
    assert model(torch.zeros(1, 1, 32, 32)).shape == (1, 10)
    with pytest.raises(ValueError, match="the packed file"):
        model.preprocess(torch.zeros(1, 32, 32, dtype=torch.uint8))


def test_names_of_another_number_of_classes_are_not_given_to_the_network() -> None:
    assert loaded(FED | {"classes": ["cat", "dog"]}).classes is None
