"""Folders of images: which splits they give, what is read, what is kept, and what is refused."""

import numpy
import pytest
import torch
from PIL import Image

from compressbench.core.errors import PlanError
from compressbench.core.identity import essence
from tests.data.folders import colours, image_folder, write_folder, write_image

IN_MEMORY_OR_STREAMED = pytest.mark.parametrize("in_memory", [True, False])


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


@IN_MEMORY_OR_STREAMED
def test_an_unreadable_image_is_named(tmp_path, in_memory):
    write_folder(tmp_path, {"test": 3})
    bad = tmp_path / "test" / "cat" / "001.png"
    bad.write_bytes(bad.read_bytes()[:40])
    with pytest.raises(PlanError, match=r"cannot be read as an image .*; expected a complete JPEG") as raised:
        list(image_folder(tmp_path, in_memory=in_memory).load().test.batches(2))
    assert raised.value.faults[0].where == str(bad)


def test_holding_out_every_training_image_is_refused(tmp_path):
    write_folder(tmp_path, {"train": 1, "test": 1})
    with pytest.raises(PlanError, match=r"validation_share: is 0.9, which leaves none of the 2 training images"):
        image_folder(tmp_path, validation_share=0.9).load()


def test_without_training_images_a_share_of_the_test_images_is_for_calibrating(tmp_path):
    """One image a class, as of the ImageNet sample: every third class calibrates, and is not measured."""
    write_folder(tmp_path, {"val": 1}, ("ant", "bee", "cat", "dog", "eel", "fox"))
    whole, shared = (image_folder(tmp_path, classes=6, calibration_share=share) for share in (0.0, 0.34))
    test, calibration = shared.load().test, shared.load().train
    assert (len(test), len(calibration)) == (4, 2)
    assert not set(colours(test)) & set(colours(calibration))
    assert {*colours(test), *colours(calibration)} == set(colours(whole.load().test))
    assert whole.fingerprint() != shared.fingerprint()
    assert whole.test_fingerprint() != shared.test_fingerprint()
    with pytest.raises(PlanError, match=r"calibration_share: is 0.01, which takes 0 of the 6 test images"):
        image_folder(tmp_path, classes=6, calibration_share=0.01).load()


def test_with_training_images_all_test_images_are_measured(tmp_path):
    write_folder(tmp_path, {"train": 4, "test": 2})
    whole, shared = (image_folder(tmp_path, calibration_share=share) for share in (0.0, 0.5))
    assert colours(shared.load().test) == colours(whole.load().test)
    assert shared.test_fingerprint() == whole.test_fingerprint()


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


def test_the_name_and_the_number_of_classes_are_those_of_the_folder_unless_given(tmp_path):
    write_folder(tmp_path / "pets", {"train": 1, "test": 1}, ("cat", "dog", "eel"))
    found = image_folder(tmp_path / "pets", name=None, classes=None)
    assert (found.name, found.classes, found.missing()) == ("pets", 3, None)
    assert essence(found) == essence(image_folder("/elsewhere", name="pets", classes=3))


def test_classes_that_can_neither_be_counted_nor_are_given_are_asked_for(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere is not there: looked for .* dataset.classes=NUMBER"):
        image_folder(tmp_path / "nowhere", name=None, classes=None)
    assert image_folder(tmp_path / "nowhere", name=None).classes == 2


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
        {"calibration_share": 1.0},
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
