"""Our batches against a loop that crops, flips and normalises one PIL image at a time, side by side."""

import time

import numpy
import pytest
import torch
from PIL import Image

from compressbench.data.in_memory import InMemorySplit
from compressbench.vision import torchvision

IMAGES, ROUNDS = 2048, 5
COPIES = 20
"""Our split holds this many times the images, so that, like a whole dataset, it does not fit in a cache."""
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Pictures(torch.utils.data.Dataset):
    """The tutorial way: an array of images, PIL transforms."""

    def __init__(self, images, labels, transform):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, number):
        return self.transform(Image.fromarray(self.images[number])), self.labels[number]


def seconds_an_image(batches):
    start = time.perf_counter()
    images = sum(len(labels) for _, labels in batches())
    return (time.perf_counter() - start) / images


@pytest.mark.benchmark
@pytest.mark.parametrize(("channels", "augmented", "at_most"), [(3, True, 0.06), (1, False, 0.02)])
def test_batches_take_a_fraction_of_the_tutorial_loop(channels, augmented, at_most):
    torch.set_num_threads(1)
    pixels = numpy.random.RandomState(0).randint(0, 256, (IMAGES, 32, 32, channels)).astype(numpy.uint8)
    labels = torch.arange(IMAGES) % 10
    transforms = torchvision("transforms")
    crop = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()] if augmented else []
    finish = [transforms.ToTensor(), transforms.Normalize(MEAN[:channels], STD[:channels])]
    pictures = pixels if channels == 3 else pixels[..., 0]
    loader = torch.utils.data.DataLoader(
        Pictures(pictures, labels, transforms.Compose([*crop, *finish])), batch_size=128, shuffle=True
    )
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2).repeat(COPIES, 1, 1, 1).contiguous()
    pad = 4 if augmented else 0
    split = InMemorySplit(tensor, labels.repeat(COPIES), MEAN[:channels], STD[:channels], pad=pad, flip=augmented)
    generator = torch.Generator().manual_seed(0)
    ratios = [
        seconds_an_image(lambda: split.batches(128, generator)) / seconds_an_image(lambda: loader)
        for _ in range(ROUNDS)
    ]
    print(f"\nbatches against the tutorial loop: {sorted(ratios)[ROUNDS // 2]:.4f}")
    assert sorted(ratios)[ROUNDS // 2] <= at_most
