"""Datasets that need no download: the same ones everywhere, split once and for all, scored by what they are for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compressbench.core.data import Dataset, class_names
from compressbench.core.errors import PlanError
from compressbench.core.task import tensors
from compressbench.data import _sklearn, python_topics
from compressbench.data.diabetes import Diabetes
from compressbench.data.digits import Digits
from compressbench.data.digits_rows import DigitsRows
from compressbench.data.python_topics import CHARACTERS, PythonTopics

DATASETS: list[Dataset] = [DigitsRows(), Diabetes(), PythonTopics(32)]
each_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)


@each_dataset
def test_what_it_gives_is_what_its_task_says(dataset: Dataset) -> None:
    example = tensors(dataset.task.example())[0]
    for split in vars(dataset.load()).values():
        inputs, targets = next(split.batches(4))
        assert (inputs.dtype, inputs.shape[1:]) == (example.dtype, example.shape[1:])
        _, made = dataset.task.random_batch(4, torch.Generator())
        assert (targets.dtype, targets.shape) == (made.dtype, made.shape)


@each_dataset
def test_it_is_always_the_same_and_says_so(dataset: Dataset) -> None:
    one, other = dataset.load(), dataset.load()
    assert torch.equal(one.test.inputs, other.test.inputs)  # type: ignore[attr-defined]
    assert dataset.fingerprint() == dataset.fingerprint()
    assert len(dataset.fingerprint()) == 16
    assert dataset.missing() is None
    assert all(Path(source).is_file() for source in dataset.sources())
    assert dataset.sources()


def test_rows_are_those_of_the_digits_from_the_top() -> None:
    rows, shown = DigitsRows().load(), Digits().load()
    for split, images in ((rows.test, shown.test), (rows.train, shown.train), (rows.validation, shown.validation)):
        assert torch.equal(split.targets, images.labels)
        shades = images.images[:, 0, ::4, ::4].float() / 255 * 16
        assert torch.allclose(split.inputs * 6.02 + 4.88, shades.ceil(), atol=1e-4)  # stored as whole 255ths, cut off


def test_the_text_is_cut_into_pieces_whose_targets_are_the_next_characters() -> None:
    splits, whole = PythonTopics(32).load(), python_topics.text()
    assert len(whole) > 300_000
    train = splits.train
    assert "".join(CHARACTERS[token] for token in train.inputs[:3].flatten()) == whole[:96]
    assert torch.equal(train.inputs[1:, 0], train.targets[:-1, -1])
    lengths = [len(split) for split in (splits.train, splits.validation, splits.test)]
    assert lengths == pytest.approx([share * len(whole) / 32 for share in (0.8, 0.1, 0.1)], abs=2)
    end = "".join(CHARACTERS[token] for token in splits.test.targets[-1])
    assert end in whole[-80:].replace("\xa0", CHARACTERS[-1])
    names = class_names(PythonTopics(32))
    assert names is not None
    assert len(names) == 97


def test_diabetes_is_standardised_by_its_training_patients() -> None:
    splits = Diabetes().load()
    assert [len(split) for split in (splits.train, splits.validation, splits.test)] == [308, 44, 90]
    for values in (splits.train.inputs, splits.train.targets):
        assert torch.allclose(values.mean(0), torch.zeros(values.shape[1]), atol=1e-5)
        assert torch.allclose(values.std(0, correction=0), torch.ones(values.shape[1]), atol=1e-5)
    assert not torch.allclose(splits.test.inputs.mean(0), torch.zeros(10), atol=1e-3)


@pytest.mark.parametrize("dataset", [DigitsRows(), Diabetes()], ids=lambda dataset: dataset.name)
def test_without_scikit_learn_it_says_what_to_install(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sklearn, "file_of", lambda name: Path("nowhere") / name)
    assert "pip install scikit-learn" in str(dataset.missing())
    with pytest.raises(PlanError, match="nowhere"):
        dataset.load()


def test_without_the_text_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_topics, "MODULE", "nowhere.topics")
    assert "looked for nowhere.topics" in str(PythonTopics(32).missing())
    with pytest.raises(PlanError, match="nowhere"):
        PythonTopics(32).load()


def test_examples_that_are_read_in_another_way_are_others() -> None:
    assert PythonTopics(32).test_fingerprint() != PythonTopics(64).test_fingerprint()
    assert PythonTopics(32).fingerprint() == PythonTopics(64).fingerprint()
    assert DigitsRows().test_fingerprint() != Digits().test_fingerprint()


def test_a_context_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="context is 0"):
        PythonTopics(0)
