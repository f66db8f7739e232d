"""What accuracies are measured on changes with the test pictures and how they are prepared, and with nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

from compressbench.core.data import measured_on
from compressbench.core.errors import PlanError
from compressbench.data.digits import Digits
from compressbench.data.synthetic import Synthetic
from tests.data.folders import image_folder, write_folder, write_image
from tests.data.test_mnist import mnist, write_idx, write_mnist

SPLITS = {"train": 4, "val": 2, "test": 3}


def measured(root: Path, **changes: Any) -> str:
    return measured_on(image_folder(root, **changes), None)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"crop_padding": 2},
        {"flip": True},
        {"validation_share": 0.4},
        {"in_memory": False},
        {"in_memory": False, "train_augmentation": "random_resized_crop"},
        {"workers": 2},
        {"resize": 8},
    ],
    ids=str,
)
def test_how_training_pictures_are_made_and_what_it_is_called_does_not_matter(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    write_folder(tmp_path, SPLITS)
    assert measured(tmp_path, **changes) == measured(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"resize": 9}, {"image_size": 7}, {"mean": [0.5, 0, 0]}, {"std": [1, 2, 1]}], ids=str
)
def test_how_test_pictures_are_prepared_matters(tmp_path: Path, changes: dict[str, Any]) -> None:
    write_folder(tmp_path, SPLITS)
    assert measured(tmp_path, **changes) != measured(tmp_path)


def test_another_folder_with_the_same_test_pictures_is_the_same_and_with_others_is_not(tmp_path: Path) -> None:
    before = measured(write_folder(tmp_path / "first", SPLITS))
    same = write_folder(tmp_path / "same", {"val": 3})  # `val` alone is the test split
    for file in (tmp_path / "first" / "test").rglob("*.png"):
        (same / "val" / file.parent.name / file.name).write_bytes(file.read_bytes())
    assert measured(same) == before
    write_image(same / "val" / "cat" / "002.png", numpy.zeros((20, 9, 3)))
    assert measured(same) != before
    assert measured(write_folder(tmp_path / "named", SPLITS, classes=("bird", "dog"))) != before
    with pytest.raises(PlanError, match="is not there"):
        measured(tmp_path / "nowhere")


def test_classes_are_called_as_their_folders(tmp_path: Path) -> None:
    write_folder(tmp_path, SPLITS, classes=("zebra", "a cat"))
    assert image_folder(tmp_path).class_names() == ["a cat", "zebra"]
    with pytest.raises(PlanError, match="is not there"):
        image_folder(tmp_path / "nowhere").class_names()


def test_other_training_images_of_mnist_do_not_matter_and_other_test_images_do(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    before = measured_on(mnist(tmp_path), None)
    write_mnist(tmp_path / "packed", pack=True)
    assert measured_on(mnist(tmp_path / "packed", validation_images=3, crop_padding=1, flip=True), None) == before
    write_idx(tmp_path / "train-labels-idx1-ubyte", numpy.zeros(100))
    assert measured_on(mnist(tmp_path), None) == before
    assert measured_on(mnist(tmp_path, image_size=28), None) != before
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", numpy.zeros(30))
    assert measured_on(mnist(tmp_path), None) != before


def test_made_up_images_depend_on_everything_but_the_name_and_fewer_images_are_others() -> None:
    def made(**changes: Any) -> Synthetic:
        fields = {"name": "made", "shape": [1, 8, 8], "classes": 3, "train_images": 20, "test_images": 9}
        return Synthetic(**(fields | changes))

    before = measured_on(made(), None)
    assert measured_on(made(name="other"), None) == before
    assert measured_on(made(train_images=30), None) != before  # they are drawn first
    assert measured_on(made(), 5) != before
    assert measured_on(Digits(), None) == measured_on(Digits(), None) != before
