"""Pictures become pixels, which are kept in the cache folder."""

import os
import warnings

import numpy
import pytest
import torch
from PIL import Image

from compressbench.core.errors import PlanError
from compressbench.data._decoding import central, decoded
from tests.data.folders import colours, image_folder, write_folder, write_image


def test_an_image_of_the_right_size_is_not_touched():
    image = Image.fromarray(numpy.random.RandomState(0).randint(0, 256, (8, 8, 3)).astype(numpy.uint8))
    assert central(image, (8, 8), (8, 8)) is image


def test_grey_images_and_transparent_ones_become_three_colours(tmp_path):
    write_folder(tmp_path, {"test": 1})
    Image.new("L", (8, 8), 7).save(tmp_path / "test" / "cat" / "000.png")
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(tmp_path / "test" / "dog" / "000.png")
    assert colours(image_folder(tmp_path).load().test) == [(7, 7, 7, 0), (1, 2, 3, 1)]


def test_decoded_images_are_kept_and_used_again(tmp_path, cache, monkeypatch):
    write_folder(tmp_path, {"test": 3})
    first = image_folder(tmp_path).load().test.images
    assert len(list(cache.glob("*.npy"))) == 1
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
    entry = next(cache.glob("*.npy"))
    entry.write_bytes(entry.read_bytes()[:-5] if content is None else content)
    with pytest.warns(UserWarning, match="is damaged"):
        again = image_folder(tmp_path).load().test.images
    assert torch.equal(again, before)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image_folder(tmp_path).load()


@pytest.mark.parametrize("suffix", [".npy", ".json"])
def test_one_changed_bit_of_a_cache_entry_is_found(tmp_path, cache, suffix):
    write_folder(tmp_path, {"test": 3})
    before = image_folder(tmp_path).load().test.images
    image_folder(tmp_path).load()  # compared with its digest now, and that is noted
    file = next(cache.glob(f"*{suffix}"))
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    with pytest.warns(UserWarning, match="is damaged"):
        assert torch.equal(image_folder(tmp_path).load().test.images, before)


def test_an_entry_that_was_compared_with_its_digest_is_not_compared_again(tmp_path, cache, monkeypatch):
    write_folder(tmp_path, {"test": 3})
    for _ in range(2):
        image_folder(tmp_path).load()
    monkeypatch.setattr("compressbench.data._decoding.file_digest", None)  # comparing would now fail
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


def test_all_unreadable_images_are_named_at_once_but_no_more_than_ten(tmp_path):
    write_folder(tmp_path, {"test": 10})
    for file in tmp_path.rglob("*.png"):
        file.write_text("no image")
    with pytest.raises(PlanError, match="and 10 more of the kind") as raised:
        image_folder(tmp_path).load()
    assert len(raised.value.faults) == 11


def test_more_pixels_than_memory_are_refused(tmp_path):
    write_folder(tmp_path, {"test": 1})
    with pytest.raises(PlanError, match=r"dataset.in_memory: is true, but .* bytes, more than there is memory"):
        image_folder(tmp_path, image_size=10**8).load()
