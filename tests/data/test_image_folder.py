"""Folders of images: which splits they give, what is read, what is kept, and what is refused."""

import os
import warnings

import numpy
import pytest
import torch
from PIL import Image

from compressbench.core.faults import PlanError
from compressbench.core.identity import essence
from compressbench.data._decoding import central, decoded
from tests.data.folders import image_folder, write_folder, write_image

IN_MEMORY_OR_STREAMED = pytest.mark.parametrize("in_memory", [True, False])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPRESSBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


def colours(split):
    """Return one (red, green, blue) an image, in order, with its label."""
    found = []
    for images, labels in split.batches(7):
        pixels = (images[:, :, 0, 0] * 255).round().long().tolist()
        found += [(*pixel, label) for pixel, label in zip(pixels, labels.tolist(), strict=True)]
    return found


@IN_MEMORY_OR_STREAMED
def test_pixels_and_labels_are_those_of_the_files(tmp_path, in_memory):
    write_folder(tmp_path / "made", {"train": 10, "test": 3})
    splits = image_folder(tmp_path, in_memory=in_memory).load()
    assert [len(split) for split in (splits.train, splits.validation, splits.test)] == [16, 4, 6]
    assert colours(splits.test) == [(50, label * 50, number, label) for label in range(2) for number in range(3)]
    train, validation = set(colours(splits.train)), set(colours(splits.validation))
    assert train | validation == {(0, label * 50, number, label) for label in range(2) for number in range(10)}
    assert not train & validation
    assert [label for *_, label in sorted(validation)].count(0) == 2


@IN_MEMORY_OR_STREAMED
@pytest.mark.parametrize("name", ["val", "validation"])
def test_val_alone_is_the_test_split_and_validation_is_carved_from_train(tmp_path, in_memory, name):
    write_folder(tmp_path, {"train": 10, name: 3})
    splits = image_folder(tmp_path, in_memory=in_memory).load()
    assert {red for red, *_ in colours(splits.test)} == {50}
    assert {red for red, *_ in colours(splits.validation)} == {0}


@IN_MEMORY_OR_STREAMED
def test_val_beside_test_is_the_validation_split(tmp_path, in_memory):
    write_folder(tmp_path, {"train": 4, "val": 2, "test": 3})
    splits = image_folder(tmp_path, in_memory=in_memory).load()
    parts = (splits.train, splits.validation, splits.test)
    assert [(len(part), {red for red, *_ in colours(part)}) for part in parts] == [(8, {0}), (4, {50}), (6, {100})]


@IN_MEMORY_OR_STREAMED
def test_without_training_images_only_who_asks_for_them_is_told(tmp_path, in_memory):
    write_folder(tmp_path, {"val": 3})
    splits = image_folder(tmp_path, in_memory=in_memory).load()
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [0, 0, 6]
    with pytest.raises(PlanError, match=r"made has no train images: .* gives only test"):
        splits.train.batches(2, torch.Generator())
    with pytest.raises(PlanError, match="made has no validation images"):
        splits.validation.batches(2)
    assert len(splits.train.limit(3)) == 0


def test_a_test_folder_of_unlabelled_files_does_not_count(tmp_path):
    write_folder(tmp_path, {"train": 4, "val": 2})
    write_image(tmp_path / "test" / "unlabelled.png", [1, 2, 3])
    assert {red for red, *_ in colours(image_folder(tmp_path).load().test)} == {50}


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (33, 47), (8, 8), (16, 16)])
@IN_MEMORY_OR_STREAMED
def test_other_sizes_are_resized_and_cut_as_torchvision_does(tmp_path, size, in_memory):
    from compressbench.vision import torchvision

    pixels = numpy.random.RandomState(0).randint(0, 256, (size[1], size[0], 3))
    for name in ("cat", "dog"):
        write_image(tmp_path / "test" / name / "one.png", pixels)
    split = image_folder(tmp_path, in_memory=in_memory, resize=12).load().test
    v2 = torchvision("transforms.v2")
    transform = v2.Compose([v2.Resize(12), v2.CenterCrop(8), v2.PILToTensor()])
    expected = transform(Image.open(tmp_path / "test" / "cat" / "one.png"))
    found = (next(split.batches(1))[0][0] * 255).round().to(torch.uint8)
    assert torch.equal(found, expected)


def test_an_image_of_the_right_size_is_not_touched():
    image = Image.fromarray(numpy.random.RandomState(0).randint(0, 256, (8, 8, 3)).astype(numpy.uint8))
    assert central(image, 8, 8) is image


def test_grey_images_and_transparent_ones_become_three_colours(tmp_path):
    write_folder(tmp_path, {"test": 1})
    Image.new("L", (8, 8), 7).save(tmp_path / "test" / "cat" / "000.png")
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(tmp_path / "test" / "dog" / "000.png")
    assert colours(image_folder(tmp_path).load().test) == [(7, 7, 7, 0), (1, 2, 3, 1)]


def test_decoded_images_are_kept_and_used_again(tmp_path, cache, monkeypatch):
    write_folder(tmp_path, {"test": 3})
    first = image_folder(tmp_path).load().test.images
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr("compressbench.data._decoding.decode", None)  # decoding again would now fail
    assert torch.equal(image_folder(tmp_path).load().test.images, first)


def test_a_changed_file_is_decoded_again(tmp_path):
    write_folder(tmp_path, {"test": 1})
    image_folder(tmp_path).load()
    file = tmp_path / "test" / "cat" / "000.png"
    write_image(file, [9, 9, 9])
    os.utime(file, ns=(1, 1))
    assert colours(image_folder(tmp_path).load().test)[0] == (9, 9, 9, 0)


@pytest.mark.parametrize("content", [b"", b"nothing", None])
def test_a_damaged_cache_entry_is_made_again_with_a_warning(tmp_path, cache, content):
    write_folder(tmp_path, {"test": 3})
    before = image_folder(tmp_path).load().test.images
    entry = next(cache.iterdir())
    entry.write_bytes(entry.read_bytes()[:-5] if content is None else content)
    with pytest.warns(UserWarning, match="is damaged"):
        again = image_folder(tmp_path).load().test.images
    assert torch.equal(again, before)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image_folder(tmp_path).load()


def test_a_cache_folder_that_cannot_be_written_costs_only_a_warning(tmp_path, monkeypatch):
    write_folder(tmp_path, {"test": 3})
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("COMPRESSBENCH_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="are not kept"):
        assert len(image_folder(tmp_path).load().test) == 6


def test_threads_change_nothing(tmp_path):
    write_folder(tmp_path, {"test": 20})
    files = [str(file) for file in sorted(tmp_path.rglob("*.png"))]
    assert numpy.array_equal(decoded(files[:20], 8, 8, 0), decoded(files, 8, 8, 4)[:20])


@IN_MEMORY_OR_STREAMED
def test_an_unreadable_image_is_named(tmp_path, in_memory):
    write_folder(tmp_path, {"test": 3})
    bad = tmp_path / "test" / "cat" / "001.png"
    bad.write_bytes(bad.read_bytes()[:40])
    with pytest.raises(PlanError, match=r"cannot be read as an image .*; expected a complete JPEG") as raised:
        list(image_folder(tmp_path, in_memory=in_memory).load().test.batches(2))
    assert raised.value.faults[0].where == str(bad)


def test_all_unreadable_images_are_named_at_once_but_no_more_than_ten(tmp_path):
    write_folder(tmp_path, {"test": 10})
    for file in tmp_path.rglob("*.png"):
        file.write_text("no image")
    with pytest.raises(PlanError, match="and 10 more files that cannot be read") as raised:
        image_folder(tmp_path).load()
    assert len(raised.value.faults) == 11


def test_a_class_folder_without_images_is_named(tmp_path):
    write_folder(tmp_path, {"train": 2, "test": 2})
    (tmp_path / "train" / "eel").mkdir()
    (tmp_path / "train" / "eel" / "notes.txt").write_text("none yet")
    with pytest.raises(PlanError) as raised:
        image_folder(tmp_path).load()
    said = str(raised.value)
    assert f"{tmp_path}/train/eel: holds no image; expected files ending in .jpg" in said
    assert f"{tmp_path}/train: has 3 class folders; dataset.classes is 2" in said
    assert f"{tmp_path}/train/eel: is a class folder that {tmp_path}/test lacks" in said


def test_class_folders_that_differ_are_named_with_the_nearest_name(tmp_path):
    write_folder(tmp_path, {"train": 2})
    write_folder(tmp_path, {"test": 2}, classes=("cat", "dogs"))
    with pytest.raises(PlanError) as raised:
        image_folder(tmp_path).load()
    assert f"{tmp_path}/test/dogs: is a class folder that {tmp_path}/train lacks; did you mean 'dog'?" in str(
        raised.value
    )


def test_training_images_without_any_to_test_are_refused(tmp_path):
    write_folder(tmp_path, {"train": 2})
    with pytest.raises(PlanError, match="has train but neither test/ nor val/ with class folders"):
        image_folder(tmp_path).load()


def test_what_is_missing_is_said_with_every_place_and_every_way_out(tmp_path):
    (tmp_path / "train").mkdir()  # no class folders in it
    message = image_folder(tmp_path).missing()
    for part in (tmp_path, tmp_path / "made", "train/<class>/<image>", "dataset.root=", "COMPRESSBENCH_DATA"):
        assert str(part) in message
    assert "download" not in message
    for ask in (image_folder(tmp_path).load, image_folder(tmp_path).fingerprint):
        with pytest.raises(PlanError, match="made is not there"):
            ask()


def test_the_fingerprint_covers_names_and_sizes_not_where_the_folder_lies(tmp_path):
    first = image_folder(write_folder(tmp_path / "a", {"train": 2, "test": 2}))
    second = image_folder(write_folder(tmp_path / "b", {"train": 2, "test": 2}))
    assert first.fingerprint() == second.fingerprint()
    (tmp_path / "b" / "test" / "cat" / "000.png").rename(tmp_path / "b" / "test" / "cat" / "009.png")
    assert first.fingerprint() != second.fingerprint()


def test_sources_are_the_split_and_class_folders(tmp_path):
    write_folder(tmp_path, {"test": 1})
    folder = tmp_path / "test"
    assert image_folder(tmp_path).sources() == [str(folder), str(folder / "cat"), str(folder / "dog")]


def test_where_it_lies_and_who_reads_it_are_not_part_of_its_identity():
    assert essence(image_folder("/a", workers=3)) == essence(image_folder("/b"))
    assert essence(image_folder("/a", flip=True)) != essence(image_folder("/a"))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"classes": 1},
        {"image_size": 0},
        {"resize": 7},
        {"validation_share": 1.0},
        {"validation_share": -0.1},
        {"train_augmentation": "random_resized_crops"},
        {"train_augmentation": "random_resized_crop"},  # in memory
        {"in_memory": False, "crop_padding": 4},
        {"mean": [0.5]},
        {"std": [0.5, 0.0, 0.5]},
        {"workers": -1},
    ],
)
def test_fields_out_of_range_are_refused(changes):
    with pytest.raises(ValueError, match=f"{list(changes)[-1]} is .*"):
        image_folder("anywhere", **changes)


def test_cifar10_as_jpeg_has_its_published_counts(real_data):
    if not (real_data / "cifar10-jpeg").is_dir():
        pytest.skip("needs cifar10-jpeg extracted below COMPRESSBENCH_DATA")
    dataset = image_folder(real_data, name="cifar10-jpeg", classes=10, image_size=32, validation_share=0.1)
    splits = dataset.load()
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [45_000, 5_000, 10_000]
    assert torch.bincount(splits.test.labels).tolist() == [1000] * 10
