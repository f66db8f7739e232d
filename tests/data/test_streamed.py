"""Streamed splits: the same batches whoever reads the files."""

import multiprocessing

import numpy
import pytest
import torch

from compressbench.core.errors import PlanError
from tests.data.folders import image_folder, write_folder, write_image


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Twelve noisy 20x16 training images in two classes and two test images."""
    folder = tmp_path_factory.mktemp("images")
    noise = numpy.random.RandomState(0)
    for label in ("cat", "dog"):
        for number in range(6):
            write_image(folder / "train" / label / f"{number}.png", noise.randint(0, 256, (16, 20, 3)))
        write_image(folder / "test" / label / "0.png", noise.randint(0, 256, (16, 20, 3)))
    return folder


def train(root, workers=0, augmentation="random_resized_crop", flip=True):
    dataset = image_folder(
        root,
        in_memory=False,
        validation_share=0.0,
        train_augmentation=augmentation,
        flip=flip,
        workers=workers,
        resize=12,
    )
    return dataset.load().train


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def whole(split, batch_size, generator=None):
    images, labels = zip(*split.batches(batch_size, generator), strict=True)
    return torch.cat(images), torch.cat(labels)


def test_the_number_of_workers_changes_nothing(root):
    alone, helped = (whole(train(root, workers), 4, seeded()) for workers in (0, 2))
    assert torch.equal(alone[0], helped[0])
    assert torch.equal(alone[1], helped[1])


def test_the_same_state_gives_the_same_batches_and_another_other_ones(root):
    first, again, other = (whole(train(root), 4, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])


def test_without_a_generator_nothing_is_augmented_or_left_out(root):
    split, plain = train(root), train(root, augmentation="none", flip=False)
    images, labels = whole(split, 5)
    assert labels.tolist() == [0] * 6 + [1] * 6
    assert torch.equal(images, whole(plain, 5)[0])
    assert [len(labels) for _, labels in split.batches(5)] == [5, 5, 2]
    assert [len(labels) for _, labels in split.batches(5, seeded())] == [5, 5]


def test_an_image_that_is_only_flipped_is_one_of_two(root):
    split = train(root, augmentation="none")
    plain, labels = whole(split, 12)
    shuffled, _ = whole(split, 12, seeded())
    outcomes = []
    for image in shuffled:
        same = [torch.equal(image, other) for other in plain]
        mirrored = [torch.equal(image, other.flip(2)) for other in plain]
        assert sum(same) + sum(mirrored) == 1
        outcomes.append(any(mirrored))
    assert {True, False} == set(outcomes)
    assert len(labels) == 12


def test_a_random_resized_crop_is_torchvisions_with_the_images_own_seed(root):
    from PIL import Image

    from compressbench.vision import torchvision

    v2 = torchvision("transforms.v2")
    split = train(root)
    generator = seeded(3)
    order = torch.randperm(12, generator=generator).tolist()
    seeds = torch.randint(2**62, (12,), generator=generator).tolist()
    images, _ = next(split.batches(12, seeded(3)))
    transform = v2.Compose([v2.RandomResizedCrop(8), v2.RandomHorizontalFlip()])
    with torch.random.fork_rng():
        torch.manual_seed(seeds[0])
        expected = torch.from_numpy(numpy.array(transform(Image.open(split.files[order[0]])))).permute(2, 0, 1)
    assert torch.equal((images[0] * 255).round().to(torch.uint8), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_global_random_state_is_left_alone(root, workers):
    before = torch.get_rng_state()
    whole(train(root, workers), 4, seeded())
    whole(train(root, workers), 4)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unreadable_image_met_by_a_worker_is_named(tmp_path):
    write_folder(tmp_path, {"train": 4, "test": 1})
    bad = tmp_path / "train" / "dog" / "002.png"
    bad.write_bytes(b"no image")
    with pytest.raises(PlanError, match="cannot be read as an image") as raised:
        whole(train(tmp_path, workers=2), 2, seeded())
    assert raised.value.faults[0].where == str(bad)


def test_no_worker_outlives_its_epoch(root, tmp_path):
    epoch = train(root, workers=2).batches(4, seeded())
    next(epoch)
    assert len(multiprocessing.active_children()) == 2
    epoch.close()  # as when a loop stops before the end
    assert multiprocessing.active_children() == []
    write_folder(tmp_path, {"train": 4, "test": 1})
    for file in tmp_path.rglob("train/*/*.png"):
        file.write_bytes(b"no image")
    with pytest.raises(PlanError):
        whole(train(tmp_path, workers=2), 2, seeded())
    assert multiprocessing.active_children() == []


def test_a_limited_split_keeps_the_classes_in_proportion(root):
    limited = train(root).limit(4)
    assert whole(limited, 4)[1].tolist() == [0, 0, 1, 1]
    assert len(limited.files) == 4
    assert len(train(root).limit(100)) == 12


def test_a_batch_size_below_one_is_refused(root):
    with pytest.raises(ValueError, match="batch_size is 0; allowed: 1 or more"):
        train(root).batches(0)
