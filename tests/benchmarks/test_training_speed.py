"""The training loop beside what a person would write, as ratios of interleaved rounds on the same images."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from compressbench.core.architecture import Architecture
from compressbench.core.context import Advance
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.data.in_memory import InMemorySplit
from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.metrics.macs import layer_table
from compressbench.training.autotuning import PLAIN, Setting, decide, has_bf16
from compressbench.training.loop import train
from compressbench.vision import torchvision
from compressbench.zoo.alexnet import AlexNet
from compressbench.zoo.lenet import LeNet5, LeNet300100
from compressbench.zoo.resnet_cifar import ResNetCifar

pytestmark = pytest.mark.benchmark

MEAN, STD = [0.49, 0.48, 0.45], [0.25, 0.24, 0.26]
BATCH = 128
TASK = ImageClassification([3, 32, 32], 10)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Silent:
    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        yield lambda steps=1, note="": None


class Fixed:
    """The same ready batches every time: what is left is the loop."""

    def __init__(self, images: int, channels: int, side: int):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(images, channels, side, side, generator=generator)
        self.labels = torch.randint(10, (images,), generator=generator)

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, batch_size: int, generator: torch.Generator | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        yield from zip(self.images.split(batch_size), self.labels.split(batch_size), strict=True)


def alexnet(channels: int = 3) -> nn.Module:
    return AlexNet(channels, 10, batch_norm=False, dropout=0.0, conv_bias=True, hidden=[512, 512])


def mlp(channels: int = 1, side: int = 28) -> nn.Module:
    return LeNet300100(channels, 10, image_size=side)


def ours(model: nn.Module, split: object, precision: str = "fp32", auto: Setting = PLAIN) -> None:
    training = TrainingConfig(1, BATCH, 0.01, "sgd", "one_cycle", 1e-4, precision=precision)
    subject = Subject(model, Architecture("compressbench.zoo.none"))
    data = (split, [])
    train(subject, training, *data, task=TASK, seed=0, limits=Limits(), progress=Silent(), auto=str(auto))  # type: ignore[arg-type]


def by_hand(model: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], steps: int) -> None:
    """What the tutorials write, with torch's own scheduler."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps)
    model.train()
    for images, labels in batches:
        optimizer.zero_grad()
        functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        scheduler.step()


def ratio(one: Callable[[], None], other: Callable[[], None], rounds: int, clock: Callable[[], float]) -> float:
    """Return the median over rounds of the time of `one` over the time of `other`, each round in the other order.

    clock: `process_time` does not see other processes, so it is the fair one for a single thread.
    """
    ratios = []
    for number in range(rounds + 1):
        seconds = {}
        for run in (one, other) if number % 2 else (other, one):
            start = clock()
            run()
            seconds[run] = clock() - start
        ratios.append(seconds[one] / seconds[other])
    print(f"ratios: {' '.join(f'{value:.3f}' for value in sorted(ratios[1:]))}")
    return statistics.median(ratios[1:])  # the first round warms up


@pytest.mark.parametrize(
    ("build", "images", "shape", "rounds", "most"),
    [(alexnet, 1280, (3, 32), 9, 1.02), (mlp, 12_800, (1, 28), 9, 1.10)],
    ids=["alexnet", "mlp"],
)
def test_the_loop_costs_no_more_than_one_written_by_hand(
    build: Callable[[], nn.Module], images: int, shape: tuple[int, int], rounds: int, most: float
) -> None:
    split = Fixed(images, *shape)
    model, twin = build(), build()
    steps = images // BATCH
    assert (
        ratio(lambda: ours(model, split), lambda: by_hand(twin, split.batches(BATCH), steps), rounds, time.process_time)
        <= most
    )


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """One picture at a time through PIL, as the tutorials do."""

    def __init__(self, images: Tensor, labels: Tensor):
        from PIL import Image

        transforms = torchvision("transforms")
        self.pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
        self.labels = labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.pictures[index]), self.labels[index]


@pytest.mark.parametrize(
    ("build", "images", "most"),
    [(alexnet, 2560, 0.80), (lambda: mlp(3, 32), 20480, 0.25)],
    ids=["alexnet", "mlp"],
)
def test_crops_and_flips_cost_less_than_in_a_data_loader(
    build: Callable[[], nn.Module], images: int, most: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (images, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (images,), generator=generator)
    split = InMemorySplit(pixels, labels, MEAN, STD, pad=4, flip=True)
    loader = DataLoader(Pictures(pixels, labels), batch_size=BATCH, shuffle=True, drop_last=True)
    model, twin = build(), build()
    torch.set_num_threads(2)
    assert (
        ratio(lambda: ours(model, split), lambda: by_hand(twin, iter(loader), len(loader)), 5, time.perf_counter)
        <= most
    )


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int], int, float]] = {
    "resnet20": (lambda: ResNetCifar(3, 10, depth=20), (3, 32), 640, 0.60),
    "lenet5": (lambda: LeNet5(1, 10, 28), (1, 28), 6400, 0.55),
    "alexnet": (alexnet, (3, 32), 640, 1.05),
}
"""How it is built, channels and side of its images, how many, and the time it may take against fp32 when all is quiet.
AlexNet stays in fp32: the rule must not cost anything either."""
BUSY = 1.2
"""The time a training may take against fp32 while other processes take all cores."""


def chosen(model: nn.Module, channels: int, side: int, threads: int) -> Setting:
    layers = layer_table(model, torch.zeros(1, channels, side, side))
    return decide(layers, torch.device("cpu"), threads, has_bf16())


@pytest.mark.skipif(not has_bf16(), reason="needs a processor that multiplies bf16")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_setting_of_the_rule_beats_plain_fp32(name: str) -> None:
    build, shape, images, most = NETWORKS[name]
    split, model, twin = Fixed(images, *shape), build(), build()
    auto = chosen(model, *shape, threads=1)
    assert ratio(lambda: ours(model, split, "auto", auto), lambda: ours(twin, split), 7, time.process_time) <= most


@pytest.fixture
def _busy() -> Iterator[None]:
    """Two processes that take all they can get."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    yield
    for process in spinning:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("_busy")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_does_not_suffer_beside_busy_processes(name: str, threads: int) -> None:
    build, shape, images, _ = NETWORKS[name]
    torch.set_num_threads(threads)
    split, model, twin = Fixed(images // threads, *shape), build(), build()
    auto = chosen(model, *shape, threads=threads)
    assert ratio(lambda: ours(model, split, "auto", auto), lambda: ours(twin, split), 7, time.perf_counter) <= BUSY
