"""The loop trains whatever a task says: numbers, texts, several inputs at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.architecture import Architecture
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs
from compressbench.core.training import TrainingConfig
from compressbench.data.tasks.language_modelling import LanguageModelling
from compressbench.data.tasks.regression import Regression
from compressbench.data.tensors import TensorSplit
from compressbench.training.curve import is_best, note
from compressbench.training.loop import train

SHORT = TrainingConfig(3, 16, 0.05, "adam", "constant", weight_decay=0.0, precision="fp32")


class Sums(Regression):
    """Two rows of numbers go in; the target is the sum of all."""

    def example(self) -> Inputs:
        return torch.zeros(1, 3), torch.zeros(1, 2)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(3, 1), nn.Linear(2, 1)

    def forward(self, rows: Tensor, others: Tensor) -> Tensor:
        summed: Tensor = self.one(rows) + self.other(others)
        return summed


@pytest.fixture
def sums() -> TensorSplit:
    generator = torch.Generator().manual_seed(0)
    rows, others = torch.randn(320, 3, generator=generator), torch.randn(320, 2, generator=generator)
    return TensorSplit((rows, others), rows.sum(1, keepdim=True) + others.sum(1, keepdim=True))


def trained(model: nn.Module, config: TrainingConfig, split: TensorSplit, task: Any, steps: Any) -> Any:
    subject = Subject(model, Architecture("compressbench.zoo.none"))
    return train(subject, config, split, split, task=task, seed=0, limits=Limits(), progress=steps())


def test_a_network_of_two_inputs_learns_to_add(sums: TensorSplit, steps: Any) -> None:
    torch.manual_seed(0)
    curve = trained(TwoInputs(), SHORT, sums, Sums([3]), steps).curve
    assert set(curve[0]) == {"epoch", "train_loss", "validation_loss", "validation_mse", "lr", "seconds"}
    assert curve[-1]["validation_mse"] < 0.1 < curve[0]["train_loss"]
    assert curve[-1]["validation_loss"] == pytest.approx(curve[-1]["validation_mse"], rel=1e-5)  # mse is its own loss


def test_another_loss_of_the_task_is_minimised_and_the_metric_stays(sums: TensorSplit, steps: Any) -> None:
    torch.manual_seed(0)
    curve = trained(TwoInputs(), replace(SHORT, loss="mae"), sums, Sums([3]), steps).curve
    assert curve[0]["validation_loss"] != pytest.approx(curve[0]["validation_mse"], rel=0.01)
    with pytest.raises(ValueError, match=r"loss is 'hinge'; .*mae, mse for regression"):
        trained(TwoInputs(), replace(SHORT, loss="hinge"), sums, Sums([3]), steps)


def test_the_best_epoch_is_the_one_with_the_smallest_error(sums: TensorSplit, steps: Any) -> None:
    torch.manual_seed(0)
    wild = replace(SHORT, lr=1.5, select="best")  # too large a rate: the error goes up and down
    found = trained(TwoInputs(), wild, sums, Sums([3]), steps)
    errors = [entry["validation_mse"] for entry in found.curve]
    rows, others = sums.inputs
    error = (found.subject.model(rows, others) - sums.targets).square().mean().item()
    assert error == pytest.approx(min(errors), rel=1e-5)
    assert min(errors) < errors[-1]


def test_a_text_is_learned(steps: Any) -> None:
    torch.manual_seed(0)
    text = torch.arange(8).repeat(33)[:257]  # what follows is always known
    split = TensorSplit(text[:256].view(64, 4), text[1:257].view(64, 4))
    model = nn.Sequential(nn.Embedding(8, 8), nn.Linear(8, 8))
    curve = trained(model, replace(SHORT, epochs=20), split, LanguageModelling(8, 4), steps).curve
    assert curve[-1]["validation_bits_per_character"] < 0.1 < 1 < curve[0]["validation_bits_per_character"]


def test_of_equal_metrics_the_smaller_loss_is_better_and_the_note_is_in_the_tasks_words() -> None:
    task = Regression([1])
    entry = {"validation_mse": 2.0, "validation_loss": 1.0, "train_loss": 0.25}
    assert is_best(entry, [{**entry, "validation_loss": 1.5}, {**entry, "validation_mse": 3.0}], task)
    assert not is_best(entry, [{**entry, "validation_mse": 1.0, "validation_loss": 9.0}], task)
    assert note([entry], 3, task).startswith("epoch 2/3, loss 0.250, validation 2.0")
