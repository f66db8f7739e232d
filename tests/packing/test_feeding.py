"""What a file notes of its inputs and classes is short, is read as it was written, and is refused if it is nonsense."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compressbench.core.preprocessing import Preprocessing
from compressbench.data.cifar import CIFAR10, CIFAR100
from compressbench.data.digits import Digits
from compressbench.data.mnist import MNIST
from compressbench.packing.container import seal
from compressbench.packing.feeding import MOST_NAMES, classes_of, noted, preprocessing_of
from tests.data.folders import image_folder

KINDS = [
    Digits(),
    MNIST(None, False, 33, 5000, 0, False),
    CIFAR10(None, False, 5000, 4, True),
    CIFAR100(None, False, 5000, 4, True),
]
RIGHT = noted(image_folder(None, image_size=24, resize=30).task.preprocessing, [])["preprocessing"]


@pytest.mark.parametrize("dataset", KINDS, ids=lambda dataset: dataset.name)
def test_what_is_noted_is_read_again(dataset: Any) -> None:
    note = json.loads(json.dumps(noted(dataset.task.preprocessing, dataset.class_names())))
    assert preprocessing_of(note) == dataset.task.preprocessing
    assert classes_of(note, {"classes": dataset.task.classes}) == dataset.class_names()
    assert len(dataset.class_names()) == dataset.task.classes
    channels, *sides = dataset.task.shape
    assert (dataset.task.preprocessing.channels, list(dataset.task.preprocessing.size)) == (channels, sides)


def test_pictures_of_a_folder_note_how_they_are_cut() -> None:
    dataset = image_folder(None, image_size=24, resize=30)
    assert preprocessing_of({"preprocessing": RIGHT}) == dataset.task.preprocessing
    assert RIGHT == {"channels": 3, "size": [24, 24], "resize": [30, 30], "mean": [0.0] * 3, "std": [1.0] * 3}


def test_it_takes_few_bytes() -> None:
    """At most so many of a file: preprocessing and classes; MNIST's, CIFAR10's and 1,000 wordnet ids."""
    before = {"dataset": {"name": "mnist"}, "seed": 0}
    taken = []
    ids = [f"n{1440764 + 14_000 * number:08}" for number in range(1000)]
    for dataset, names in ((KINDS[1], None), (KINDS[2], None), (image_folder(None), ids)):
        note = before | noted(dataset.task.preprocessing, names or dataset.class_names())
        taken.append(len(seal({}, note, [])) - len(seal({}, before, [])))
    assert [taken[0] < 80, taken[1] < 140, taken[2] < 5000] == [True] * 3, taken


def test_more_classes_than_a_file_should_name_are_not_named() -> None:
    names = [f"class {number}" for number in range(MOST_NAMES)]
    assert classes_of(noted(None, names), {}) == names
    assert noted(None, [*names, "one more"]) == {}
    assert classes_of({}, {}) is None
    numbers = [str(number) for number in range(2 * MOST_NAMES)]
    assert noted(None, numbers) == {"classes": 2 * MOST_NAMES}
    assert classes_of(noted(None, numbers), {}) == numbers


@pytest.mark.parametrize("classes", [None, 0, -1, True, 10**12, 2.0, "ten", [], [1, 2], ["a", None], {"a": 1}, [[]]])
def test_class_names_that_are_none_are_unknown(classes: Any) -> None:
    assert classes_of({"classes": classes}, {}) is None


def test_another_number_of_classes_than_the_network_has_is_unknown() -> None:
    assert classes_of({"classes": ["cat", "dog"]}, {"classes": 2}) == ["cat", "dog"]
    assert classes_of({"classes": ["cat", "dog"]}, {"classes": 3}) is None
    assert classes_of({"classes": 2}, {"classes": "two"}) is None


def test_a_file_that_does_not_say_how_it_is_fed_is_refused_with_what_is_missing() -> None:
    with pytest.raises(ValueError, match="its note has no `preprocessing`"):
        preprocessing_of({"dataset": {"name": "mnist"}})


DEEP: list[Any] = []
for _ in range(500):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": 2}, "`channels` should be 1 or 3"),
        ({"channels": True}, "`channels`"),
        ({"channels": [1]}, "`channels`"),
        ({"channels": 1}, "`mean` should be 1 numbers"),
        ({"size": 24}, r"`size` should be \[height, width\], each 1 to 4096"),
        ({"size": [24, 0]}, "`size`"),
        ({"size": [24, 10**30]}, "`size`"),
        ({"size": [24.0, 24]}, "`size`"),
        ({"size": DEEP}, "`size`"),
        ({"size": None}, "`size`"),
        ({"crop": [25, 24]}, "`crop`, repeated, is larger than `size`"),
        ({"repeat": 2}, "`crop`, repeated, is larger than `size`"),
        ({"repeat": 0}, "`repeat`"),
        ({"resize": [24, 23]}, "`crop` is larger than `resize`"),
        ({"resize": [24, 5000]}, "`resize`"),
        ({"interpolation": "lanczos"}, "`interpolation` should be bilinear, box"),
        ({"interpolation": ["box"]}, "`interpolation`"),
        ({"mean": [0, 0]}, "`mean` should be 3 numbers"),
        ({"mean": [0, 0, float("nan")]}, "`mean`"),
        ({"mean": [0, 0, 10**400]}, "`mean`"),
        ({"std": [1, 1, 0]}, "`std` should be 3 numbers, more than 0"),
        ({"std": [1, 1, float("inf")]}, "`std`"),
        ({"std": ["1", "1", "1"]}, "`std`"),
        ({"std": [True, True, True]}, "`std`"),
        ({"gamma": 2.2}, "no such step as 'gamma'"),
    ],
)
def test_nonsense_is_refused_and_the_key_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"what the packed file says of its network's inputs cannot be used: .*{said}"):
        preprocessing_of({"preprocessing": RIGHT | changes})


@pytest.mark.parametrize("given", [3, "NCHW", [], DEEP, True])
def test_what_is_no_object_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="it is no JSON object"):
        preprocessing_of({"preprocessing": given})


def test_people_read_the_steps_that_change_something() -> None:
    mnist = str(KINDS[1].task.preprocessing)
    assert mnist == (
        "float32 NCHW, grey, 33 x 33; a picture is resized until it covers 28 x 28 (bilinear), the centre 28 x 28 cut "
        "out, padded with black to 33 x 33, of pixels from 0 to 1 less mean (0.1307), by std (0.3081)"
    )
    assert "repeated 4 times" in str(Digits().task.preprocessing)
    assert "padded" not in str(Digits().task.preprocessing)
    assert Preprocessing(3, (5, 4), (5, 4), (6, 6), (0,) * 3, (1,) * 3).padding == ((0, 0), (0, 0))
