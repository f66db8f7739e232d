"""Datasets of HuggingFace's library, saved on disk; and what is said without the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compressbench.core.errors import PlanError
from compressbench.core.task import Task
from compressbench.data import huggingface
from compressbench.data.huggingface import HuggingFace
from compressbench.data.tasks.sequence_classification import SequenceClassification

TASK = SequenceClassification(3, 2, vocabulary=9)


def made(root: Path, **fields: Any) -> HuggingFace:
    own: dict[str, Any] = {
        "name": None,
        "inputs": ["ids"],
        "target": "label",
        "task": TASK,
        "train": "train",
        "test": "test",
        "validation": None,
        "validation_share": 0.25,
        "in_memory": True,
        "workers": 0,
    }
    return HuggingFace(root=str(root), **{**own, **fields})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    datasets = pytest.importorskip("datasets")

    def rows(count: int) -> Any:
        ids = [[number % 9, 1, 2] for number in range(count)]
        return datasets.Dataset.from_dict({"ids": ids, "label": [number % 2 for number in range(count)]})

    datasets.DatasetDict({"train": rows(20), "test": rows(6)}).save_to_disk(str(tmp_path / "words"))
    return tmp_path / "words"


def test_columns_become_inputs_and_targets(saved: Path) -> None:
    dataset = made(saved)
    splits = dataset.load()
    assert (dataset.name, dataset.missing(), dataset.sources()) == ("words", None, [str(saved)])
    assert [len(split) for split in (splits.train, splits.validation, splits.test)] == [15, 5, 6]
    inputs, targets = next(splits.test.batches(6))
    assert inputs[:, 0].tolist() == [0, 1, 2, 3, 4, 5]  # type: ignore[call-overload]
    assert targets.tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"train": "trian"}, "dataset.train: there is no split 'trian'; did you mean 'train'"),
        ({"inputs": ["idz"]}, "train has no column 'idz'; did you mean 'ids'"),
        ({"target": "lable"}, "no column 'lable'; did you mean 'label'"),
        ({"task": SequenceClassification(3, 2, vocabulary=4)}, "holds the token [4-8]; allowed: 0 to 3"),
    ],
)
def test_what_is_not_there_is_named(saved: Path, fields: dict[str, Task], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        made(saved, **fields).load()


def test_a_folder_of_something_else_is_named(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="save_to_disk"):
        made(tmp_path).load()


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface, "find_spec", lambda name: None)
    assert "huggingface" in str(made(tmp_path).missing())
    with pytest.raises(PlanError, match="datasets"):
        made(tmp_path).load()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface, "find_spec", lambda name: name)
    assert "nowhere" in str(made(tmp_path / "nowhere").missing())


@pytest.mark.parametrize(("key", "value"), [("inputs", []), ("validation_share", 1.0), ("workers", -1)])
def test_values_out_of_range_are_refused(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{key} is"):
        made(tmp_path, **{key: value})
