"""CIFAR10 and CIFAR100, on batches written here in the published format."""

import hashlib
import pickle

import numpy
import pytest
import torch

from compressbench.core.errors import PlanError
from compressbench.data.cifar import CIFAR10, CIFAR100
from compressbench.vision import torchvision


def cifar(kind, root, **changes):
    fields = {"download": False, "validation_images": 10, "crop_padding": 4, "flip": True}
    return kind(root=str(root), **(fields | changes))


def write(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(content))
    return [file.name, hashlib.md5(file.read_bytes()).hexdigest()]


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    """Five batches of 10 images and 10 to test; image n has the colour (n, 2 n, 3 n)."""
    folder = tmp_path / "cifar-10-batches-py"

    def batch(name, first):
        numbers = numpy.arange(first, first + 10)
        data = numpy.repeat(numbers[:, None] * [1, 2, 3], 1024, axis=1).astype(numpy.uint8)
        return write(folder / name, {"data": data, "labels": (numbers % 10).tolist()})

    reader = torchvision("datasets").CIFAR10
    monkeypatch.setattr(reader, "train_list", [batch(f"data_batch_{n + 1}", 10 * n) for n in range(5)])
    monkeypatch.setattr(reader, "test_list", [batch("test_batch", 50)])
    name, md5 = write(folder / "batches.meta", {"label_names": [str(label) for label in range(10)]})
    monkeypatch.setattr(reader, "meta", {"filename": name, "key": "label_names", "md5": md5})
    return tmp_path


def test_images_labels_and_colours_are_those_of_the_files(cifar10):
    splits = cifar(CIFAR10, cifar10).load()
    assert splits.test.images[:, :, 5, 7].tolist() == [[n, 2 * n, 3 * n] for n in range(50, 60)]
    assert splits.test.labels.tolist() == list(range(10))
    train, validation = (set(part.images[:, 0, 0, 0].tolist()) for part in (splits.train, splits.validation))
    assert (len(train), len(validation), train | validation) == (40, 10, set(range(50)))
    assert torch.bincount(splits.validation.labels).tolist() == [1] * 10


def test_only_the_training_images_are_augmented(cifar10):
    splits = cifar(CIFAR10, cifar10).load()
    assert [part.pad for part in (splits.train, splits.validation, splits.test)] == [4, 0, 0]
    assert [part.flip for part in (splits.train, splits.validation, splits.test)] == [True, False, False]


def test_the_root_may_be_the_folder_itself_whatever_it_is_called(cifar10):
    (cifar10 / "cifar-10-batches-py").rename(cifar10 / "mine")
    assert len(cifar(CIFAR10, cifar10 / "mine").load().test) == 10


def test_a_damaged_file_is_noticed(cifar10):
    before = cifar(CIFAR10, cifar10).fingerprint()
    (cifar10 / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"nothing")
    with pytest.raises(PlanError, match=r"cifar10 cannot be read from .*corrupted"):
        cifar(CIFAR10, cifar10).load()
    assert cifar(CIFAR10, cifar10).fingerprint() != before


@pytest.mark.parametrize(
    ("kind", "name", "folder", "classes"),
    [(CIFAR10, "cifar10", "cifar-10-batches-py", 10), (CIFAR100, "cifar100", "cifar-100-python", 100)],
)
def test_what_is_missing_is_said_with_every_place_and_every_way_out(tmp_path, kind, name, folder, classes):
    dataset = cifar(kind, tmp_path)
    assert (dataset.name, dataset.task.classes, dataset.task.shape) == (name, classes, [3, 32, 32])
    for part in (name, tmp_path / folder, "dataset.root=", "COMPRESSBENCH_DATA", "dataset.download=true"):
        assert str(part) in dataset.missing()
    with pytest.raises(PlanError, match=f"{name} is not there"):
        dataset.load()
    with pytest.raises(PlanError, match=f"{name} is not there"):
        dataset.fingerprint()


def test_a_download_that_fails_says_so_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision("datasets").CIFAR10, "url", "http://127.0.0.1:9/cifar.tar.gz")
    with pytest.raises(PlanError, match=r"downloading cifar10 to .* failed"):
        cifar(CIFAR10, tmp_path, download=True).load()
    assert list(tmp_path.iterdir()) == []


def test_cifar100_is_read_with_its_fine_labels(tmp_path, monkeypatch):
    reader = torchvision("datasets").CIFAR100
    data = numpy.zeros((100, 3072), dtype=numpy.uint8)
    lists = [
        [write(tmp_path / "cifar-100-python" / name, {"data": data, "fine_labels": list(range(100))})]
        for name in ("train", "test")
    ]
    monkeypatch.setattr(reader, "train_list", lists[0])
    monkeypatch.setattr(reader, "test_list", lists[1])
    name, md5 = write(tmp_path / "cifar-100-python" / "meta", {"fine_label_names": [str(n) for n in range(100)]})
    monkeypatch.setattr(reader, "meta", {"filename": name, "key": "fine_label_names", "md5": md5})
    assert cifar(CIFAR100, tmp_path).load().test.labels.tolist() == list(range(100))


@pytest.mark.parametrize("key", ["validation_images", "crop_padding"])
def test_fields_out_of_range_are_refused(key):
    with pytest.raises(ValueError, match=f"{key} is -1; allowed"):
        cifar(CIFAR10, "anywhere", **{key: -1})
