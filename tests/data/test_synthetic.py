"""Synthetic images."""

import pytest
import torch

from compressbench.data.synthetic import Synthetic


def synthetic(**changes):
    fields = {"name": "made", "shape": [3, 16, 12], "classes": 5, "train_images": 500, "test_images": 100}
    return Synthetic(**(fields | changes))


def test_it_has_the_shape_and_the_counts_asked_for():
    dataset = synthetic()
    splits = dataset.load()
    assert [len(split) for split in (splits.train, splits.validation, splits.test)] == [450, 50, 100]
    assert dataset.task.shape == [3, 16, 12] == list(splits.train.images.shape[1:])
    assert torch.bincount(splits.test.labels).tolist() == [20] * 5
    assert (dataset.missing(), dataset.sources()) == (None, [])


def test_the_nearest_class_mean_of_the_training_images_is_nearly_always_right():
    splits = synthetic().load()
    images, labels = (torch.cat(parts) for parts in zip(*splits.train.batches(64), strict=True))
    means = torch.stack([images[labels == label].mean(0) for label in range(5)]).flatten(1)
    images, labels = next(splits.test.batches(100))
    assert (torch.cdist(images.flatten(1), means).argmin(1) == labels).float().mean() > 0.95


def test_it_is_the_same_every_time_and_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    first, again = synthetic().load(), synthetic().load()
    assert torch.equal(first.train.images, again.train.images)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_fingerprint_changes_with_the_fields():
    assert synthetic().fingerprint() == synthetic().fingerprint()
    assert synthetic(classes=4).fingerprint() != synthetic().fingerprint()


@pytest.mark.parametrize(
    ("key", "value"),
    [("shape", [3, 32]), ("shape", [3, 0, 4]), ("classes", 1), ("train_images", 9), ("test_images", 0)],
)
def test_fields_out_of_range_are_refused(key, value):
    with pytest.raises(ValueError, match=f"{key} is .*; allowed"):
        synthetic(**{key: value})
