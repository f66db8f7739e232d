"""Digits: scikit-learn's own images, read without it."""

import gzip
import subprocess
import sys

import pytest
import torch

from compressbench.core.errors import PlanError
from compressbench.data import _sklearn
from compressbench.data.digits import MEAN, STD, Digits


@pytest.fixture(scope="module")
def splits():
    return Digits().load()


def test_all_1797_digits_are_in_one_split_each(splits):
    parts = (splits.train, splits.validation, splits.test)
    assert [len(part) for part in parts] == [1257, 180, 360]
    from sklearn.datasets import load_digits

    counted = sum(torch.bincount(part.labels) for part in parts)
    assert counted.tolist() == torch.bincount(torch.from_numpy(load_digits().target)).tolist()


def test_they_are_scikit_learns_images_seen_four_times_as_large(splits):
    from sklearn.datasets import load_digits

    published = {
        (image.astype(int).tobytes(), int(label)) for image, label in zip(*load_digits(return_X_y=True), strict=True)
    }
    for part in (splits.train, splits.validation, splits.test):
        assert list(part.images.shape[1:]) == Digits().task.shape
        coarse = part.images[:, 0, ::4, ::4]
        assert torch.equal(coarse.repeat_interleave(4, 1).repeat_interleave(4, 2), part.images[:, 0])
        shades = (coarse.double() * 16 / 255).ceil().long().flatten(1)
        for image, label in zip(shades.numpy(), part.labels.tolist(), strict=True):
            assert (image.tobytes(), label) in published


def test_the_splits_are_balanced_and_share_no_image(splits):
    parts = (splits.train, splits.validation, splits.test)
    total = sum(torch.bincount(part.labels) for part in parts)
    assert (torch.bincount(splits.test.labels) - total * 360 / 1797).abs().max() < 1
    seen = [{image.numpy().tobytes() for image in part.images} for part in parts]
    assert not seen[0] & seen[1]
    assert not (seen[0] | seen[1]) & seen[2]


def test_the_training_images_have_mean_0_and_deviation_1_after_normalising(splits):
    images = torch.cat([images for images, _ in splits.train.batches(512)])
    assert images.mean().item() == pytest.approx(0, abs=0.01)
    assert images.std().item() == pytest.approx(1, abs=0.01)
    assert (len(MEAN), len(STD)) == (1, 1)


def test_the_splits_are_the_same_every_time(splits):
    assert torch.equal(Digits().load().test.images, splits.test.images)
    assert Digits().fingerprint() == Digits().fingerprint()


@pytest.mark.slow
def test_reading_them_does_not_import_scikit_learn():
    code = (
        "import sys; from compressbench.data.digits import Digits; d = Digits(); d.missing(); d.fingerprint();"
        "print({'torch', 'numpy'} & set(sys.modules)); d.load(); print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()", "False"]


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install scikit-learn" in Digits().missing()
    assert Digits().sources() == []
    with pytest.raises(PlanError, match="pip install scikit-learn"):
        Digits().load()


def test_a_damaged_file_is_named(monkeypatch, tmp_path):
    (tmp_path / "digits.csv.gz").write_bytes(gzip.compress(b"1,2,3\n")[:-5])
    monkeypatch.setattr(_sklearn, "file_of", lambda name: tmp_path / name)
    with pytest.raises(PlanError, match=r"digits.csv.gz: cannot be read"):
        Digits().load()
