"""A picture read from its own file becomes, bit for bit, what the test split gives for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from torch import Tensor

from compressbench.core.data import Dataset
from compressbench.core.preprocessing import Preprocessing
from compressbench.data.cifar import CIFAR10
from compressbench.data.digits import Digits
from compressbench.data.mnist import MNIST, read_idx
from compressbench.data.preparing import prepared
from compressbench.data.synthetic import Synthetic
from tests.data.folders import image_folder, write_image
from tests.data.test_cifar import cifar, cifar10  # noqa: F401, a fixture
from tests.data.test_mnist import mnist, write_idx


def how(dataset: Dataset) -> Preprocessing:
    found = dataset.task.preprocessing
    assert found is not None
    return found


def measured(dataset: Dataset) -> Tensor:
    return torch.cat([images for images, _ in dataset.load().test.batches(100)])


def random_pixels(*shape: int, seed: int = 0) -> numpy.ndarray[Any, Any]:
    return numpy.random.RandomState(seed).randint(0, 256, shape).astype(numpy.uint8)


def through_files(pixels: Any, folder: Path) -> list[Path]:
    """Write every picture of an array (N, H, W) or (N, H, W, 3) as PNG and return the files."""
    folder.mkdir()
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(folder / f"{number:04}.png")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("magnified", [1, 4, 12])
def test_digits_at_their_own_size_or_magnified(tmp_path: Path, magnified: int) -> None:
    split = Digits().load().test
    small = split.images[:, 0, ::4, ::4].repeat_interleave(magnified, 1).repeat_interleave(magnified, 2)
    files = through_files(small.numpy(), tmp_path / "pictures")
    assert torch.equal(prepared(files, how(Digits())), measured(Digits()))


@pytest.mark.parametrize("image_size", [28, 32, 33])
def test_mnist_is_padded_as_the_data_is(tmp_path: Path, image_size: int) -> None:
    pixels = random_pixels(30, 28, 28)
    for name in ("train", "t10k"):
        write_idx(tmp_path / f"{name}-images-idx3-ubyte", pixels)
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", numpy.arange(30) % 10)
    dataset = mnist(tmp_path, image_size=image_size, validation_images=5)
    assert torch.equal(prepared(through_files(pixels, tmp_path / "pictures"), how(dataset)), measured(dataset))


def test_the_original_mnist(real_data: Path, tmp_path: Path) -> None:
    dataset: MNIST = mnist(real_data)
    pixels = read_idx(dataset._files()[2])[:200]
    files = through_files(pixels, tmp_path / "pictures")
    assert torch.equal(prepared(files, how(dataset)), measured(dataset)[:200])


def test_cifar10(cifar10: Path, tmp_path: Path) -> None:  # noqa: F811
    dataset: CIFAR10 = cifar(CIFAR10, cifar10)
    pixels = dataset.load().test.images.permute(0, 2, 3, 1).numpy()
    assert torch.equal(prepared(through_files(pixels, tmp_path / "pictures"), how(dataset)), measured(dataset))


SIZES = [(8, 8), (40, 20), (20, 40), (33, 47), (5, 9), (12, 12)]


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("resize", [None, 8, 12])
def test_pictures_of_a_folder_of_any_size(tmp_path: Path, in_memory: bool, resize: int | None) -> None:
    for number, size in enumerate(SIZES):
        for name in ("cat", "dog"):
            write_image(tmp_path / "data" / "test" / name / f"{number}.png", random_pixels(*size, 3, seed=number))
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    dataset = image_folder(tmp_path / "data", resize=resize, in_memory=in_memory, mean=mean, std=std)
    files = sorted((tmp_path / "data" / "test").rglob("*.png"))
    assert torch.equal(prepared(files, how(dataset)), measured(dataset))


def test_pictures_of_a_folder_in_any_mode(tmp_path: Path) -> None:
    """Grey, with a palette, transparent, black and white: all as the split makes them."""
    whole = Image.fromarray(random_pixels(11, 9, 4), "RGBA")
    for number, mode in enumerate(("L", "P", "RGBA", "LA", "1", "RGB")):
        file = tmp_path / "test" / "cat" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        whole.convert(mode).save(file)
    write_image(tmp_path / "test" / "dog" / "0.png", random_pixels(8, 8, 3))
    dataset = image_folder(tmp_path)
    files = sorted((tmp_path / "test").rglob("*.png"))
    assert torch.equal(prepared(files, how(dataset)), measured(dataset))
    assert torch.equal(prepared([Image.open(file) for file in files], how(dataset)), measured(dataset))


def test_pictures_need_not_be_square(tmp_path: Path) -> None:
    dataset = Synthetic("made", [3, 16, 12], 5, 50, 20)
    pixels = dataset.load().test.images.permute(0, 2, 3, 1).numpy()  # type: ignore[attr-defined]
    assert torch.equal(prepared(through_files(pixels, tmp_path / "pictures"), how(dataset)), measured(dataset))
    assert prepared(random_pixels(200, 30, 3), how(dataset)).shape == (1, 3, 16, 12)
    assert Synthetic("made", [5, 16, 12], 5, 50, 20).task.preprocessing is None  # no picture has five channels


GREY = Preprocessing(1, (8, 8), (8, 8), (8, 8), (0.5,), (0.25,))
COLOUR = Preprocessing(3, (8, 8), (8, 8), (8, 8), (0.5, 0.4, 0.3), (0.25, 0.2, 0.1))
FORMS: dict[str, Callable[[Any], Any]] = {
    "array": lambda pixels: pixels,
    "list of arrays": lambda pixels: [*pixels],
    "tensor": lambda pixels: torch.from_numpy(pixels).permute(0, 3, 1, 2),
    "list of tensors": lambda pixels: [*torch.from_numpy(pixels).permute(0, 3, 1, 2)],
    "PIL": lambda pixels: [Image.fromarray(each.squeeze()) for each in pixels],
    "not contiguous": lambda pixels: numpy.ascontiguousarray(pixels[:, ::-1])[:, ::-1],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_way_to_give_pictures_gives_the_same(form: str, channels: int) -> None:
    pixels = random_pixels(4, 8, 8, channels)
    expected = COLOUR if channels == 3 else GREY
    mean, std = (numpy.array(values, dtype=numpy.float64) for values in (expected.mean, expected.std))
    found = prepared(FORMS[form](pixels), expected)
    assert (found.dtype, found.shape) == (torch.float32, (4, channels, 8, 8))
    assert numpy.allclose(found.permute(0, 2, 3, 1).numpy(), (pixels / 255 - mean) / std, atol=1e-5)
    assert torch.equal(prepared(FORMS[form](pixels)[0], expected), found[:1])


def test_grey_becomes_three_colours_and_colours_become_grey() -> None:
    grey = random_pixels(8, 8)
    same = COLOUR.__class__(3, (8, 8), (8, 8), (8, 8), (0.5,) * 3, (0.25,) * 3)
    assert torch.equal(prepared(grey, same), prepared(numpy.stack([grey] * 3, 2), same))
    assert torch.equal(prepared(numpy.stack([grey] * 3, 2), GREY), prepared(grey, GREY))
    red = numpy.zeros((8, 8, 3), numpy.uint8)
    red[..., 0] = 255
    assert prepared(red, GREY)[0, 0, 0, 0].item() == pytest.approx((0.299 - 0.5) / 0.25, abs=0.01)
    opaque = numpy.concatenate([red, random_pixels(8, 8, 1)], 2)
    assert torch.equal(prepared(opaque, GREY), prepared(red, GREY))


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        (numpy.zeros((8, 8)), "pixels are float64; expected uint8 from 0 to 255"),
        (torch.zeros(3, 8, 8), "pixels are float32; expected uint8"),
        (numpy.zeros((8, 8), numpy.int64), "pixels are int64"),
        (numpy.zeros((8, 8), bool), "pixels are bool"),
        (random_pixels(3, 8, 8), r"of shape \(3, 8, 8\); expected \(H, W\), \(H, W, C\)"),
        (random_pixels(8, 8, 2), r"of shape \(8, 8, 2\)"),
        (torch.zeros(8, 8, 3, dtype=torch.uint8), r"of shape \(8, 8, 3\); expected \(C, H, W\) or \(N, C, H, W\)"),
        (random_pixels(2, 2, 8, 8, 3), r"of shape \(2, 2, 8, 8, 3\)"),
        (random_pixels(8), r"of shape \(8,\)"),
        (random_pixels(0, 8, 3), r"of shape \(0, 8, 3\)"),
        (Image.new("L", (0, 5)), "has no pixels: its size is 0 x 5"),
        (Image.new("F", (8, 8)), "has the mode F: pixels of 16 or 32 bits"),
        (Image.new("I;16", (8, 8)), "has the mode I;16"),
        ([], "there is no picture"),
        (random_pixels(0, 8, 8, 3), "there is no picture"),
        ([[1, 2], [3, 4]], "a list is no picture"),
        (None, "a NoneType is no picture; expected a path"),
        ("nowhere.png", "nowhere.png: cannot be read: No such file"),
    ],
)
def test_what_is_no_picture_or_may_mean_several_things_is_refused(pictures: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        prepared(pictures, COLOUR)
