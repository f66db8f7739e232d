"""What the runner lends to a technique, on a split whose images lie class after class, as an image folder's do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compressbench.core.data import Splits
from compressbench.core.plan import Limits
from compressbench.data._selection import EmptySplit
from compressbench.data.in_memory import InMemorySplit
from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.running.progress import SilentProgress
from compressbench.running.stage_context import StageContext
from compressbench.training.autotuning import PLAIN

CLASSES, EACH = 4, 64


def lent(tmp_path: Path, seed: int = 1) -> StageContext:
    labels = torch.arange(CLASSES).repeat_interleave(EACH)
    images = torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    split = InMemorySplit(images, labels, mean=[0.0], std=[1.0], pad=2, flip=True)
    nothing = EmptySplit("none is needed")
    return StageContext(
        seed=seed,
        splits=Splits(split, nothing, nothing),
        task=ImageClassification([1, 8, 8], CLASSES),
        progress=SilentProgress(),
        limits=Limits(),
        checkpoints=tmp_path,
        auto=PLAIN,
        device=torch.device("cpu"),
        earlier_stages={},
        elsewhere=pytest.fail,
    )


def test_calibration_images_are_of_all_classes_although_the_split_holds_one_after_the_other(tmp_path: Path) -> None:
    (_, labels), *_ = lent(tmp_path).calibration(batch_size=32, batches=1)
    counts = torch.bincount(labels, minlength=CLASSES)
    assert int(counts.min()) >= 3, counts
    assert labels.tolist() != sorted(labels.tolist())


def test_whoever_looks_at_the_calibration_images_twice_sees_the_same_ones(tmp_path: Path) -> None:
    context = lent(tmp_path)
    first, second = (list(context.calibration(32, 3)) for _ in range(2))
    assert len(first) == 3
    for (images, labels), (same_images, same_labels) in zip(first, second, strict=True):
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)


def test_another_seed_calibrates_on_other_images(tmp_path: Path) -> None:
    ((_, ours),) = lent(tmp_path, seed=1).calibration(32, 1)
    ((_, others),) = lent(tmp_path, seed=2).calibration(32, 1)
    assert ours.tolist() != others.tolist()


def test_calibration_images_are_not_augmented(tmp_path: Path) -> None:
    """Every image here has one value; a shifted one would have black borders."""
    for images, _ in lent(tmp_path).calibration(32, 8):
        assert torch.equal(images, images[:, :, :1, :1].expand_as(images))


def test_calibration_leaves_the_stages_generator_alone(tmp_path: Path) -> None:
    context = lent(tmp_path)
    before = context.generator.get_state()
    list(context.calibration(32, 2))
    assert torch.equal(context.generator.get_state(), before)
