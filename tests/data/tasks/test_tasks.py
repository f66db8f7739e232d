"""What every task promises: its examples fit, sums add up, and outputs that do not fit are named."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from compressbench.core.task import Task, first, primary_spec, random_like, scored, shapes, tensors
from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.data.tasks.language_modelling import LanguageModelling
from compressbench.data.tasks.regression import Regression
from compressbench.data.tasks.sequence_classification import SequenceClassification

TASKS: list[tuple[Task, tuple[int, ...]]] = [
    (ImageClassification([3, 8, 6], 7), (7,)),
    (SequenceClassification(5, 7, features=4), (7,)),
    (SequenceClassification(5, 7, vocabulary=11), (7,)),
    (LanguageModelling(11, 5), (5, 11)),
    (Regression([4], 2), (2,)),
]
"""Each task, and the shape of a network's outputs for one example."""
each_task = pytest.mark.parametrize(("task", "shape"), TASKS, ids=lambda value: getattr(value, "name", None))


def answers(task: Task, shape: tuple[int, ...], size: int = 12) -> tuple[Tensor, Tensor]:
    """Return made-up outputs, and targets that fit."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn((size, *shape), generator=generator), task.random_batch(size, generator)[1]


@each_task
def test_examples_and_made_up_batches_are_alike(task: Task, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, targets = task.random_batch(6, generator)
    for one, many in zip(tensors(task.example()), tensors(inputs), strict=True):
        assert (one.dtype, one.shape[1:], len(one), len(many)) == (many.dtype, many.shape[1:], 1, 6)
        assert one.eq(0).all()
    assert len(targets) == 6
    assert len(tensors(random_like(task.example(), 3, generator))[0]) == 3
    assert len(tensors(first(inputs, 2))[0]) == 2


@each_task
def test_its_own_loss_and_all_others_take_what_the_network_gives(task: Task, shape: tuple[int, ...]) -> None:
    outputs, targets = answers(task, shape)
    for loss in task.losses.values():
        given = outputs.clone().requires_grad_()
        loss(given, targets).backward()
        assert given.grad is not None
        assert given.grad.isfinite().all()


@each_task
def test_the_primary_metric_stands_first_and_has_a_direction(task: Task, shape: tuple[int, ...]) -> None:
    assert task.specs[0].name == task.primary == primary_spec(task).name
    assert primary_spec(task).higher_is_better is not None


@each_task
def test_batches_of_unequal_size_give_the_metrics_of_the_whole(task: Task, shape: tuple[int, ...]) -> None:
    outputs, targets = answers(task, shape)
    whole = scored(task, [(outputs, targets)])
    parts = scored(task, [(outputs[:5], targets[:5]), (outputs[5:], targets[5:])])
    assert set(whole) == {spec.name for spec in task.specs}
    assert parts == pytest.approx(whole, rel=1e-6)
    assert scored(task, [(outputs, targets)], brief=True)[task.primary] == pytest.approx(whole[task.primary], rel=1e-9)


@each_task
def test_outputs_that_do_not_fit_are_named(task: Task, shape: tuple[int, ...]) -> None:
    assert task.fault(torch.zeros(2, *shape), 2) is None
    assert "a tuple, not a tensor" in str(task.fault((torch.zeros(2, *shape), None), 2))
    assert f"gives {[2, 3, *shape]}" in str(task.fault(torch.zeros(2, 3, *shape), 2))


@each_task
def test_no_example_is_an_error(task: Task, shape: tuple[int, ...]) -> None:
    def nothing() -> Iterator[tuple[Tensor, Tensor]]:
        yield from ()

    with pytest.raises(ValueError, match="no example"):
        scored(task, nothing())


def test_a_language_model_is_scored_by_the_bits_of_what_it_did_not_know() -> None:
    # Two places: the right token has a probability of 1/2, then of 1/8. 1 bit and 3 bits: 2 a character.
    chances = torch.tensor([[[1 / 2, 1 / 4, 1 / 4], [1 / 8, 3 / 8, 1 / 2]]])
    found = scored(LanguageModelling(3, 2), [(chances.log(), torch.tensor([[0, 0]]))])
    assert found["bits_per_character"] == pytest.approx(2)
    assert found["loss"] == pytest.approx(2 * math.log(2))
    assert found["perplexity"] == pytest.approx(4)
    unasked = scored(LanguageModelling(3, 2), [(chances.log(), torch.tensor([[0, -100]]))])
    assert unasked["bits_per_character"] == pytest.approx(1)
    words = scored(LanguageModelling(3, 2, characters_per_token=4), [(chances.log(), torch.tensor([[0, 0]]))])
    assert words["bits_per_character"] == pytest.approx(1 / 2)


def test_a_regression_is_scored_against_what_the_mean_would_get() -> None:
    outputs, targets = torch.tensor([[1.0], [2], [6]]), torch.tensor([[1.0], [3], [5]])
    found = scored(Regression([1]), [(outputs, targets)])
    assert found["mse"] == pytest.approx(2 / 3)  # errors 0, -1, 1
    assert found["r2"] == pytest.approx(1 - 2 / 8)  # the targets are 2, 0, 2 from their mean
    with pytest.raises(ValueError, match="all targets are the same"):
        scored(Regression([1]), [(outputs, torch.ones(3, 1))])


def test_a_brief_score_of_a_classification_takes_the_first_of_equal_logits() -> None:
    task = ImageClassification([1, 1, 1], 3)
    logits, labels = torch.tensor([[1.0, 1, 0], [1, 1, 0]]), torch.tensor([0, 1])
    assert scored(task, [(logits, labels)], brief=True) == {"top1": 0.5}
    assert scored(task, [(logits, labels)])["loss"] == pytest.approx(functional.cross_entropy(logits, labels).item())


def test_shapes_are_said_in_words() -> None:
    assert shapes(torch.zeros(1, 3, 32, 32)) == "3 x 32 x 32"
    assert shapes((torch.zeros(1, 5), torch.zeros(1, 5, 2))) == "5 and 5 x 2"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ImageClassification([3, 8], 7), "shape is"),
        (lambda: ImageClassification([3, 8, 8], 1), "classes is 1"),
        (lambda: SequenceClassification(5, 7), "allowed: one of them"),
        (lambda: SequenceClassification(5, 7, features=1, vocabulary=2), "allowed: one of them"),
        (lambda: SequenceClassification(0, 7, features=1), "length is 0"),
        (lambda: LanguageModelling(1, 5), "vocabulary is 1"),
        (lambda: LanguageModelling(5, 5, 0.0), "characters_per_token is 0"),
        (lambda: Regression([]), "shape is"),
        (lambda: Regression([1], 0), "outputs is 0"),
    ],
)
def test_what_no_task_can_be_is_refused(make: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()  # type: ignore[operator]
