"""MNIST, on idx files written here; on the original where there is one."""

import gzip
import os
import struct
import subprocess
import sys

import numpy
import pytest
import torch

from compressbench.core.errors import PlanError
from compressbench.data.mnist import FILES, MNIST, read_idx


def mnist(root, **changes):
    fields = {"download": False, "image_size": 32, "validation_images": 20, "crop_padding": 0, "flip": False}
    return MNIST(root=None if root is None else str(root), **(fields | changes))


def write_idx(file, array, pack=False):
    content = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype("uint8").tobytes()
    file.write_bytes(gzip.compress(content) if pack else content)


def write_mnist(folder, pack=False):
    """100 training and 30 test images; image i is i everywhere, its label i % 10."""
    folder.mkdir(parents=True, exist_ok=True)
    ending = ".gz" if pack else ""
    for name, numbers in (("train", numpy.arange(100)), ("t10k", numpy.arange(200, 230))):
        pictures = numpy.broadcast_to(numbers[:, None, None], (len(numbers), 28, 28))
        write_idx(folder / f"{name}-images-idx3-ubyte{ending}", pictures, pack)
        write_idx(folder / f"{name}-labels-idx1-ubyte{ending}", numbers % 10, pack)
    return folder


def test_images_and_labels_are_those_of_the_files(tmp_path):
    write_mnist(tmp_path)
    splits = mnist(tmp_path).load()
    assert [len(split) for split in (splits.train, splits.validation, splits.test)] == [80, 20, 30]
    centres = splits.train.images[:, 0, 16, 16].long()
    assert torch.equal(centres % 10, splits.train.labels)
    assert splits.test.images[:, 0, 16, 16].tolist() == list(range(200, 230))


def test_validation_shares_no_image_with_train_or_test(tmp_path):
    write_mnist(tmp_path)
    splits = mnist(tmp_path).load()
    train, validation, test = (
        set(split.images[:, 0, 16, 16].tolist()) for split in (splits.train, splits.validation, splits.test)
    )
    assert not train & validation
    assert not (train | validation) & test
    assert train | validation == set(range(100))
    assert torch.bincount(splits.validation.labels).tolist() == [2] * 10


@pytest.mark.parametrize(("image_size", "border"), [(28, 0), (32, 2), (33, 2)])
def test_the_digit_stands_in_the_middle_of_black(tmp_path, image_size, border):
    write_mnist(tmp_path)
    dataset = mnist(tmp_path, image_size=image_size)
    assert dataset.task.shape == [1, image_size, image_size]
    image = dataset.load().test.images[0, 0]
    expected = torch.zeros(image_size, image_size, dtype=torch.uint8)
    expected[border : border + 28, border : border + 28] = 200
    assert torch.equal(image, expected)


def test_black_and_white_are_normalised_as_everybody_does(tmp_path):
    write_mnist(tmp_path)
    images, _ = next(mnist(tmp_path).load().test.batches(1))
    assert images[0, 0, 0, 0].item() == pytest.approx(-0.1307 / 0.3081, abs=1e-6)
    assert images[0, 0, 16, 16].item() == pytest.approx((200 / 255 - 0.1307) / 0.3081, abs=1e-6)


@pytest.mark.parametrize("subfolder", ["", "raw", "MNIST/raw"])
def test_the_root_may_be_the_folder_or_one_that_contains_it(tmp_path, subfolder):
    write_mnist(tmp_path / subfolder)
    dataset = mnist(tmp_path)
    assert dataset.missing() is None
    assert dataset.sources() == [str(tmp_path / subfolder / name) for name in FILES]


def test_without_a_root_the_environment_variable_says_where(tmp_path, monkeypatch):
    write_mnist(tmp_path / "elsewhere")
    monkeypatch.setenv("COMPRESSBENCH_DATA", str(tmp_path / "elsewhere"))
    assert mnist(None).missing() is None


def test_without_either_it_is_looked_for_in_data(tmp_path, monkeypatch):
    monkeypatch.delenv("COMPRESSBENCH_DATA", raising=False)
    assert str(tmp_path / "data" / "MNIST" / "raw") in mnist(None).missing()
    write_mnist(tmp_path / "data")
    assert mnist(None).missing() is None


def test_packed_files_give_the_same_images_and_fingerprint(tmp_path):
    plain, packed = mnist(write_mnist(tmp_path / "a")), mnist(write_mnist(tmp_path / "b", pack=True))
    assert torch.equal(plain.load().train.images, packed.load().train.images)
    assert plain.fingerprint() == packed.fingerprint()


def test_the_fingerprint_changes_with_one_byte(tmp_path):
    write_mnist(tmp_path)
    before = mnist(tmp_path).fingerprint()
    file = tmp_path / FILES[3]
    file.write_bytes(file.read_bytes()[:-1] + b"\7")
    assert mnist(tmp_path).fingerprint() != before


def test_what_is_missing_is_said_with_every_place_and_every_way_out(tmp_path):
    message = mnist(tmp_path).missing()
    for part in (
        tmp_path,
        tmp_path / "MNIST" / "raw",
        FILES[0],
        "dataset.root=",
        "COMPRESSBENCH_DATA",
        "download=true",
    ):
        assert str(part) in message
    with pytest.raises(PlanError, match="mnist is not there"):
        mnist(tmp_path).load()
    with pytest.raises(PlanError, match="mnist is not there"):
        mnist(tmp_path).fingerprint()


def test_one_missing_file_of_four_is_missing(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / FILES[2]).unlink()
    assert FILES[2] in mnist(tmp_path).missing()


def test_a_download_that_fails_says_so_and_leaves_nothing_behind(tmp_path, monkeypatch):
    from compressbench.vision import torchvision

    monkeypatch.setattr(torchvision("datasets").MNIST, "mirrors", ["http://127.0.0.1:9/"])
    dataset = mnist(tmp_path, download=True)
    assert dataset.missing() is None
    with pytest.raises(PlanError, match=r"downloading mnist to .* failed"):
        dataset.load()
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_download_that_works_arrives_whole(tmp_path, monkeypatch):
    from compressbench.vision import torchvision

    def download(folder, download):
        write_mnist(tmp_path / folder / "MNIST" / "raw")

    monkeypatch.setattr(torchvision("datasets"), "MNIST", download)
    assert len(mnist(tmp_path, download=True).load().test) == 30
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]
    assert [path.name for path in (tmp_path / "MNIST").iterdir()] == ["raw"]


def test_a_download_completes_a_folder_that_lacks_a_file(tmp_path, monkeypatch):
    from compressbench.vision import torchvision

    raw = write_mnist(tmp_path / "MNIST" / "raw")
    (raw / FILES[2]).unlink()
    monkeypatch.setattr(
        torchvision("datasets"), "MNIST", lambda folder, download: write_mnist(tmp_path / folder / "MNIST" / "raw")
    )
    assert len(mnist(tmp_path, download=True).load().test) == 30
    assert sorted(path.name for path in raw.iterdir()) == sorted(FILES)


def test_a_place_that_may_not_be_read_is_marked(tmp_path, monkeypatch):
    def denied(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "listdir", denied)
    assert f"{tmp_path} (permission denied)." in mnist(tmp_path).missing()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is no idx file of bytes"),
        (b"<html>not found</html>", "is no idx file of bytes"),
        (struct.pack(">BBBBI", 0, 0, 8, 1, 5) + b"abc", "3 bytes of values, expected 5"),
        (struct.pack(">BBBBI", 0, 0, 8, 1, 2) + b"abc", "3 bytes of values, expected 2"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, expected):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(PlanError, match=expected) as raised:
        read_idx(tmp_path / "file")
    assert str(tmp_path / "file") in str(raised.value)


def test_a_cut_off_packed_file_is_named(tmp_path):
    write_mnist(tmp_path, pack=True)
    file = tmp_path / f"{FILES[0]}.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(PlanError, match=f"{FILES[0]}.gz: cannot be read"):
        mnist(tmp_path).load()


def test_files_that_do_not_fit_together_are_named(tmp_path):
    write_mnist(tmp_path)
    write_idx(tmp_path / FILES[1], numpy.zeros(99))
    with pytest.raises(PlanError, match=rf"{FILES[1]}: .*\(99,\), expected \(100,\)"):
        mnist(tmp_path).load()
    write_idx(tmp_path / FILES[1], numpy.full(100, 11))
    with pytest.raises(PlanError, match=f"{FILES[1]}: holds the label 11, expected 0 to 9"):
        mnist(tmp_path).load()
    write_idx(tmp_path / FILES[0], numpy.zeros((100, 8, 8)))
    with pytest.raises(PlanError, match=rf"{FILES[0]}: .*\(100, 8, 8\), expected \(N, 28, 28\)"):
        mnist(tmp_path).load()


@pytest.mark.parametrize(("key", "value"), [("image_size", 27), ("validation_images", -1), ("crop_padding", -1)])
def test_fields_out_of_range_are_refused(key, value):
    with pytest.raises(ValueError, match=f"{key} is {value}; allowed"):
        mnist(None, **{key: value})


def test_where_it_lies_is_not_part_of_its_identity_but_how_it_is_split_is(tmp_path):
    from compressbench.core.identity import essence

    assert essence(mnist("/a", download=True)) == essence(mnist("/b"))
    assert essence(mnist("/a", validation_images=1)) != essence(mnist("/a"))


def test_looking_for_it_imports_neither_torch_nor_numpy(tmp_path):
    write_mnist(tmp_path)
    code = (
        "import sys; from compressbench.data.mnist import MNIST;"
        f"m = MNIST({str(tmp_path)!r}, False, 32, 20, 0, False); m.missing(); m.sources(); m.fingerprint();"
        "print({'torch', 'numpy', 'torchvision'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_original_has_the_published_counts(real_data):
    dataset = mnist(real_data, validation_images=5000)
    splits = dataset.load()
    assert [len(split) for split in (splits.train, splits.validation, splits.test)] == [55_000, 5_000, 10_000]
    # Ones in the training and the test set: 6,742 and 1,135 (LeCun et al. 1998).
    counted = [int((split.labels == 1).sum()) for split in (splits.train, splits.validation, splits.test)]
    assert (counted[0] + counted[1], counted[2]) == (6_742, 1_135)
    centres = torch.cat([splits.train.images, splits.validation.images])[:, :, 2:30, 2:30] / 255
    assert (centres.mean().item(), centres.std().item()) == pytest.approx((0.1307, 0.3081), abs=1e-4)
