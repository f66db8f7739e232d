"""What an image folder may look like, and what is said about one that does not."""

import os

import pytest

from compressbench.core.errors import PlanError
from tests.data.folders import colours, image_folder, write_folder, write_image


def test_a_test_folder_of_unlabelled_files_does_not_count(tmp_path):
    write_folder(tmp_path, {"train": 4, "val": 2})
    write_image(tmp_path / "test" / "unlabelled.png", [1, 2, 3])
    assert {red for red, *_ in colours(image_folder(tmp_path).load().test)} == {50}


def test_a_class_folder_without_images_is_named(tmp_path):
    write_folder(tmp_path, {"train": 2, "test": 2})
    (tmp_path / "train" / "eel").mkdir()
    (tmp_path / "train" / "eel" / "notes.txt").write_text("none yet")
    (tmp_path / "test" / "eel").mkdir()
    with pytest.raises(PlanError) as raised:
        image_folder(tmp_path, classes=3).load()
    assert [fault.where for fault in raised.value.faults] == [f"{tmp_path}/{split}/eel" for split in ("train", "test")]
    assert "holds no image; expected files ending in .jpg" in str(raised.value)


def test_wrong_classes_are_found_before_anything_is_read(tmp_path):
    write_folder(tmp_path, {"train": 2, "test": 2})
    assert image_folder(tmp_path).missing() is None
    (tmp_path / "train" / "eel").mkdir()
    said = image_folder(tmp_path).missing()
    assert f"{tmp_path}/train: has 3 class folders; dataset.classes is 2" in said
    assert f"{tmp_path}/train/eel: is a class folder that {tmp_path}/test lacks" in said


def test_an_unreadable_folder_is_named(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "made", {"train": 2, "test": 2})
    scan = os.scandir

    def closed(name):
        def scandir(folder):
            if os.path.basename(folder) == name:
                raise PermissionError(13, "Permission denied", str(folder))
            return scan(folder)

        return scandir

    monkeypatch.setattr(os, "scandir", closed("train"))
    assert image_folder(tmp_path).missing() == f"{folder}/train: cannot be read: Permission denied"
    monkeypatch.setattr(os, "scandir", closed("dog"))
    with pytest.raises(PlanError, match="train/dog: cannot be read: Permission denied"):
        image_folder(tmp_path).load()


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    write_folder(tmp_path, {"train": 2, "test": 2})
    (tmp_path / "train" / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    for ask in (image_folder(tmp_path).fingerprint, image_folder(tmp_path).load):
        with pytest.raises(PlanError, match=r"train/cat/gone.png: cannot be read: No such file"):
            ask()


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
