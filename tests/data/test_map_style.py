"""Datasets of torchvision as data: found by name, their pictures prepared as the task says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from compressbench.core.errors import PlanError
from compressbench.core.preprocessing import Preprocessing
from compressbench.data.map_style import MapStyle
from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.vision import torchvision

FakeData = torchvision("datasets").FakeData
HOW = Preprocessing(3, (8, 8), crop=(8, 8), resize=(8, 8), mean=(0.5,) * 3, std=(0.5,) * 3)


def fake(**fields: Any) -> dict[str, Any]:
    return {
        "_target_": "torchvision.datasets.FakeData",
        "size": 12,
        "image_size": [3, 10, 10],
        "num_classes": 4,
    } | fields


def made(**fields: Any) -> MapStyle:
    own: dict[str, Any] = {"train": fake(), "test": fake(random_offset=50), "validation": None}
    own |= {"task": ImageClassification([3, 8, 8], 4, HOW), "validation_share": 0.25, "in_memory": True, "workers": 0}
    return MapStyle(name=None, **{**own, **fields})


def test_pictures_are_prepared_as_the_task_says() -> None:
    dataset = made()
    splits = dataset.load()
    assert dataset.name == "fakedata"
    assert [len(split) for split in (splits.train, splits.validation, splits.test)] == [9, 3, 12]
    inputs, _ = next(splits.test.batches(12))
    assert inputs.shape == (12, 3, 8, 8)  # type: ignore[union-attr]
    assert float(inputs.min()) >= -1  # type: ignore[union-attr]


def test_its_identity_hangs_on_classes_arguments_and_task() -> None:
    before = made().fingerprint()
    assert before == made().fingerprint()
    assert before != made(train=fake(random_offset=1)).fingerprint()
    assert before != made(task=replace(made().task, classes=5)).fingerprint()  # type: ignore[type-var]
    assert made().test_fingerprint() == made(train=fake(size=11)).test_fingerprint()


def test_its_examples_are_read_once_however_often_its_fingerprints_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, original = [], FakeData.__getitem__
    monkeypatch.setattr(FakeData, "__getitem__", lambda self, number: read.append(number) or original(self, number))
    dataset = made()
    assert [dataset.fingerprint(), dataset.test_fingerprint()] == [dataset.fingerprint(), dataset.test_fingerprint()]
    assert len(read) == 12 + 12 + 12  # training and test for the one, the test again for the other


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"train": {"size": 3}}, "allowed: a mapping with `_target_`"),
        ({"train": fake(colour="red")}, "unexpected keyword argument 'colour'"),
        ({"train": fake(_target_="os.system")}, "may not be named"),
        ({"train": fake(_target_="torchvision.datasets.os")}, "has no 'os'"),
        ({"validation_share": 1.0}, r"validation_share is 1\.0"),
        ({"workers": -1}, "workers is -1"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        made(**fields)


def test_a_class_that_raises_is_named() -> None:
    broken = made(train={"_target_": "torchvision.datasets.MNIST", "root": "nowhere"})
    with pytest.raises(PlanError, match=r"dataset.train: torchvision.datasets.MNIST raises RuntimeError"):
        broken.load()
