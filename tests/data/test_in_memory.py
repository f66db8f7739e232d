"""In-memory splits: what comes out of `batches`, against slow references."""

import pytest
import torch

from compressbench.core.errors import PlanError
from compressbench.data.in_memory import InMemorySplit, carved

MEAN, STD = [0.5, 0.25, 0.125], [0.5, 0.25, 0.2]


def made(images=20, pad=0, flip=False, shape=(3, 6, 5)):
    generator = torch.Generator().manual_seed(7)
    pixels = torch.randint(256, (images, *shape), dtype=torch.uint8, generator=generator)
    return InMemorySplit(pixels, torch.arange(images), MEAN[: shape[0]], STD[: shape[0]], pad, flip)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def whole(split, batch_size, generator=None):
    images, labels = zip(*split.batches(batch_size, generator), strict=True)
    return torch.cat(images), torch.cat(labels)


def reference(pixels):
    """Normalised one pixel at a time in double precision."""
    mean, std = (torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (MEAN, STD))
    return (pixels.double() / 255 - mean) / std


def crops(pixels, pad):
    """Every crop of an image, plain and mirrored, cut out one by one."""
    channels, height, width = pixels.shape
    padded = torch.zeros(channels, height + 2 * pad, width + 2 * pad, dtype=torch.uint8)
    padded[:, pad : pad + height, pad : pad + width] = pixels
    places = [(y, x) for y in range(2 * pad + 1) for x in range(2 * pad + 1)]
    plain = [padded[:, y : y + height, x : x + width] for y, x in places]
    return plain, [crop.flip(2) for crop in plain]


def test_without_a_generator_all_images_come_in_order_as_they_are():
    split = made(pad=2, flip=True)
    batches = list(split.batches(8))
    assert [len(labels) for _, labels in batches] == [8, 8, 4]
    images, labels = whole(split, 8)
    assert labels.tolist() == list(range(20))
    torch.testing.assert_close(images.double(), reference(split.images), rtol=0, atol=1e-6)


def test_pixels_are_normalised_to_one_part_in_a_million():
    pixels = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1).repeat(1, 3, 1, 1)
    images, _ = whole(InMemorySplit(pixels, torch.arange(256), MEAN, STD, 0, False), 256)
    torch.testing.assert_close(images.double(), reference(pixels), rtol=0, atol=1e-6)
    # By hand: white is (1 - 0.5) / 0.5 = 1, (1 - 0.25) / 0.25 = 3, (1 - 0.125) / 0.2 = 4.375.
    assert images[255].flatten().tolist() == pytest.approx([1, 3, 4.375], abs=1e-6)


@pytest.mark.parametrize(("pad", "flip"), [(0, False), (2, False), (0, True), (2, True), (3, True)])
def test_every_augmented_image_is_a_crop_cut_out_by_hand(pad, flip):
    split = made(pad=pad, flip=flip)
    images, labels = whole(split, 5, seeded())
    assert sorted(labels.tolist()) == list(range(20))
    for image, label in zip(images, labels.tolist(), strict=True):
        plain, mirrored = crops(split.images[label], pad)
        allowed = plain + mirrored if flip else plain
        assert any(torch.allclose(image.double(), reference(crop), rtol=0, atol=1e-6) for crop in allowed)


def test_every_place_and_both_directions_are_drawn_equally_often():
    pixels = made(images=1, shape=(1, 4, 4)).images
    split = InMemorySplit(pixels.repeat(9000, 1, 1, 1), torch.zeros(9000, dtype=torch.int64), [0.0], [1.0], 1, True)
    images, _ = whole(split, 9000, seeded())
    plain, mirrored = crops(pixels[0], 1)
    counts = [int((images - crop / 255).abs().amax((1, 2, 3)).lt(1e-6).sum()) for crop in plain + mirrored]
    assert sum(counts) == 9000
    # 18 outcomes, 500 expected each, standard deviation 21.7.
    assert all(abs(count - 500) < 100 for count in counts)


@pytest.mark.parametrize(("pad", "flip"), [(0, False), (2, True)])
def test_the_same_state_gives_the_same_batches_and_another_other_ones(pad, flip):
    split = made(pad=pad, flip=flip)
    first, again, other = (whole(split, 4, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_an_epoch_is_drawn_when_it_is_asked_for_not_when_it_is_consumed():
    generator, split = seeded(), made(pad=1)
    epoch = split.batches(4, generator)
    torch.rand(100, generator=generator)
    images = torch.cat([images for images, _ in epoch])
    assert torch.equal(images, whole(split, 4, seeded())[0])


def test_two_epochs_from_one_generator_differ():
    generator, split = seeded(), made()
    assert not torch.equal(whole(split, 4, generator)[1], whole(split, 4, generator)[1])


def test_a_shuffled_epoch_leaves_the_last_smaller_batch_out_unless_it_is_the_only_one():
    split = made(images=10)
    assert [len(labels) for _, labels in split.batches(4, seeded())] == [4, 4]
    assert [len(labels) for _, labels in split.batches(64, seeded())] == [10]


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    whole(made(pad=2, flip=True), 4, seeded())
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_are_contiguous_and_belong_to_the_caller():
    split = made(pad=1)
    for generator in (None, seeded()):
        for images, _ in split.batches(4, generator):
            assert images.is_contiguous()
            assert images.dtype == torch.float32
            images.zero_()
    assert whole(split, 4)[0].any()


def test_a_limited_split_keeps_the_classes_in_proportion_and_the_order():
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    split = InMemorySplit(torch.zeros(100, 1, 2, 2, dtype=torch.uint8), labels, [0.0], [1.0], 0, False)
    assert split.limit(10).labels.tolist() == [0] * 6 + [1] * 3 + [2]
    assert split.limit(1000) is split


def test_a_limited_split_is_augmented_as_before():
    limited = made(pad=2, flip=True).limit(7)
    assert (len(limited), limited.pad, limited.flip) == (7, 2, True)
    assert whole(limited, 7)[1].tolist() == limited.labels.tolist()


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_below_one_is_refused(batch_size):
    with pytest.raises(ValueError, match=r"batch_size is .*; allowed: 1 or more"):
        made().batches(batch_size)


def parts(images):
    return torch.zeros(images, 1, 2, 2, dtype=torch.uint8), torch.arange(images) % 10


def test_validation_is_carved_from_the_training_images_alone():
    pixels = torch.arange(100, dtype=torch.uint8).view(100, 1, 1, 1).expand(100, 1, 2, 2)
    test = torch.full((5, 1, 2, 2), 200, dtype=torch.uint8), torch.zeros(5, dtype=torch.int64)
    splits = carved((pixels, torch.arange(100) % 10), test, [0.0], [1.0], 20, crop_padding=1, flip=True)
    train, validation = (set(split.images[:, 0, 0, 0].tolist()) for split in (splits.train, splits.validation))
    assert train | validation == set(range(100))
    assert not train & validation
    assert torch.bincount(splits.validation.labels).tolist() == [2] * 10
    assert splits.test.images.unique().tolist() == [200]
    assert (splits.train.pad, splits.validation.pad, splits.test.pad) == (1, 0, 0)
    assert (splits.train.flip, splits.validation.flip, splits.test.flip) == (True, False, False)


def test_without_held_out_images_whoever_asks_for_validation_is_told_why():
    splits = carved(parts(10), parts(10), [0.0], [1.0], 0)
    assert (len(splits.train), len(splits.validation)) == (10, 0)
    with pytest.raises(PlanError, match="validation_images is 0"):
        splits.validation.batches(4)


def test_holding_out_every_training_image_is_refused():
    with pytest.raises(PlanError, match="less than the 10 training images"):
        carved(parts(10), parts(10), [0.0], [1.0], 10)


def test_a_split_makes_its_batches_where_it_lies():
    split = made(pad=2, flip=True).to(torch.device("meta"))
    assert len(split) == len(made(pad=2, flip=True))
    for images, labels in [*split.batches(4, seeded(1)), *split.batches(4)]:
        assert images.shape[1:] == (3, *split.size)
        assert (images.device.type, labels.device.type) == ("meta", "meta")
    here = made(pad=2, flip=True)
    assert here.to(torch.device("cpu")) is here
