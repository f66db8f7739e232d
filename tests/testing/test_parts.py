"""The contracts of metrics, datasets and networks catch what breaks them, in words."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from compressbench.core.data import Splits
from compressbench.core.metric import MetricSpec, MetricValue
from compressbench.data.digits import Digits
from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.metrics.accuracy import Accuracy
from compressbench.metrics.parameters import Parameters
from compressbench.metrics.size import Size
from compressbench.testing import dataset_contract, metric_contract, network_contract
from compressbench.zoo.lenet import LeNet5

NORM = MetricSpec("norm", "number", higher_is_better=None)


@dataclass(frozen=True)
class Norm:
    def specs(self, task):
        return (NORM,)

    def measure(self, given):
        return [MetricValue(NORM, float(sum(each.detach().norm() for each in given.subject.model.parameters())))]


class GivesNaN(Norm):
    def measure(self, given):
        return [MetricValue(NORM, float("nan"))]


class SaysOther(Norm):
    def specs(self, task):
        return (replace(NORM, name="other"),)


class Changes(Norm):
    def measure(self, given):
        with torch.no_grad():
            given.subject.model.fc.bias.add_(1)
        return [MetricValue(NORM, 1.0)]


class LeavesTraining(Norm):
    def measure(self, given):
        given.subject.model.train()
        return super().measure(given)


class Draws(Norm):
    def measure(self, given):
        return [MetricValue(NORM, float(torch.rand(1)))]


@pytest.mark.parametrize("metric", [Norm(), Accuracy(), Size(), Parameters()])
def test_a_sound_metric_keeps_it(metric) -> None:
    metric_contract(metric)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (GivesNaN, "norm is nan"),
        (SaysOther, "its specs are"),
        (Changes, r"fc\.bias differs"),
        (LeavesTraining, "in training mode"),
        (Draws, "when it is measured again"),
    ],
)
def test_a_metric_that_breaks_it_is_told(broken, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        metric_contract(broken())


@dataclass(frozen=True)
class OtherTask(Digits):
    @property
    def task(self):
        return ImageClassification([3, 8, 8], 10)


class Shuffled:
    """A split that is never in the same order."""

    def __init__(self, split):
        self.split = split

    def __len__(self):
        return len(self.split)

    def limit(self, examples):
        return Shuffled(self.split.limit(examples))

    def batches(self, batch_size, generator=None, augmented=True):
        with torch.random.fork_rng():
            torch.seed()
            return list(self.split.batches(batch_size, torch.Generator().manual_seed(int(torch.randint(2**30, (1,))))))


@dataclass(frozen=True)
class Unordered(Digits):
    def load(self):
        splits = super().load()
        return Splits(Shuffled(splits.train), splits.validation, splits.test)


def test_a_sound_dataset_keeps_it_and_what_breaks_it_is_told() -> None:
    dataset_contract(Digits())
    with pytest.raises(AssertionError, match="train gives inputs of"):
        dataset_contract(OtherTask())
    with pytest.raises(AssertionError, match="train, loaded twice, in order, gives other batches"):
        dataset_contract(Unordered())


class Flat(nn.Module):
    def forward(self, images):
        return images.flatten(1)


class Drops(nn.Linear):
    def __init__(self, in_channels, classes, image_size):
        super().__init__(in_channels * image_size**2, classes)
        self.weight.requires_grad_(False)

    def forward(self, images):
        return super().forward(images.flatten(1))


def test_a_sound_network_keeps_it_and_what_breaks_it_is_told() -> None:
    network_contract(LeNet5, ImageClassification([1, 28, 28], 10))
    with pytest.raises(AssertionError, match=r"gives \[16, 3072\] for a batch of 16"):
        network_contract(Flat)
    with pytest.raises(AssertionError, match="weight cannot be trained any more"):
        network_contract(Drops)
