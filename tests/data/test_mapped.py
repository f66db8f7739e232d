"""Splits of anything that can be indexed: order and random transformations hang on the generator alone."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from PIL import Image

from compressbench.core.errors import PlanError
from compressbench.data._examples import fingerprint, splits_of
from compressbench.data.digits import PREPROCESSING
from compressbench.data.mapped import MappedSplit
from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.data.tasks.regression import Regression


class Noisy:
    """Example n is n and noise from torch's global state, in float64; its target is n."""

    def __init__(self, examples: int):
        self.examples = examples

    def __len__(self) -> int:
        return self.examples

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        return numpy.array([number + float(torch.rand(()))]), float(number)


TASK = Regression([1])


def whole(split: MappedSplit, seed: int | None, augmented: bool = True) -> torch.Tensor:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return torch.cat([torch.cat([inputs, targets], 1) for inputs, targets in split.batches(4, generator, augmented)])


def split(examples: int = 10, workers: int = 0) -> MappedSplit:
    return MappedSplit(Noisy(examples), range(examples), TASK, "dataset.train", workers)


def test_every_epoch_draws_anew_and_the_same_generator_the_same() -> None:
    state = torch.get_rng_state()
    one, again, other = (whole(split(), seed) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert len(one) == 8  # whole batches
    assert torch.equal(torch.get_rng_state(), state)


def test_without_a_generator_or_augmentation_an_example_is_always_the_same() -> None:
    plain = whole(split(), None)
    assert plain[:, 1].tolist() == list(range(10))
    assert torch.equal(plain, whole(split(), None))
    shuffled = whole(split(), 3, augmented=False)
    assert torch.equal(shuffled, plain[shuffled[:, 1].long()])
    assert torch.equal(split().in_memory().inputs, plain[:, :1])  # type: ignore[arg-type]


@pytest.mark.slow
def test_workers_change_nothing() -> None:
    assert torch.equal(whole(split(), 1), whole(split(workers=2), 1))


def test_a_limit_takes_evenly_spaced_examples() -> None:
    assert whole(split().limit(3), None)[:, 1].tolist() == [0, 3, 6]
    assert len(split().limit(100)) == 10


def test_pictures_become_inputs_as_the_task_says() -> None:
    picture = Image.fromarray(numpy.full((8, 8), 255, numpy.uint8))
    task = ImageClassification([1, 32, 32], 2, PREPROCESSING)
    ((inputs, targets),) = MappedSplit([(picture, 1)], [0], task, "dataset.test").batches(1)
    assert inputs.shape == (1, 1, 32, 32)  # type: ignore[union-attr]
    assert float(inputs.max()) == pytest.approx((1 - 0.305) / 0.376)  # type: ignore[union-attr]
    assert targets.tolist() == [1]


@pytest.mark.parametrize(
    ("example", "said"),
    [
        (1, "is a int; a pair"),
        (([1.0], 2, 3), "is a tuple; a pair"),
        (([1.0, 2.0], 2.0), r"the input of an example is float32 \[2\]; regression takes float32 \[1\]"),
        (([1], 2.0), r"is int64 \[1\]"),
        (([1.0], [2.0, 3.0]), r"the target of an example is float32 \[2\]"),
        (([float("nan")], 2.0), "not finite"),
        (("words", 2.0), "Error"),
    ],
)
def test_an_example_that_does_not_fit_is_named(example: Any, said: str) -> None:
    found = MappedSplit([([1.0], 1.0), example], [0, 1], TASK, "dataset.test")
    with pytest.raises(PlanError, match=f"dataset.test, example 1: .*{said}"):
        list(found.batches(2))


def test_what_is_held_out_is_always_the_same_and_never_trained_on() -> None:
    made = {"train": Noisy(20), "test": Noisy(5)}
    one, other = (splits_of("noise", TASK, made, 0.25, True, 0) for _ in range(2))
    held = one.validation.targets.flatten().tolist()  # type: ignore[attr-defined]
    assert held == other.validation.targets.flatten().tolist()  # type: ignore[attr-defined]
    assert sorted(held + one.train.targets.flatten().tolist()) == list(range(20))  # type: ignore[attr-defined]
    assert [len(one.train), len(one.validation), len(one.test)] == [15, 5, 5]
    own = splits_of("noise", TASK, {**made, "validation": Noisy(3)}, 0.25, True, 0)
    assert [len(own.train), len(own.validation)] == [20, 3]
    nothing = splits_of("noise", TASK, made, 0.0, True, 0)
    with pytest.raises(PlanError, match="noise has no validation examples"):
        nothing.validation.batches(1)
    with pytest.raises(PlanError, match="leaves none of the 20"):
        splits_of("noise", TASK, made, 0.99, True, 0)


def test_a_fingerprint_knows_every_example_that_is_kept() -> None:
    examples = [([float(number)], float(number)) for number in range(500)]
    before = fingerprint(TASK, {"train": examples}, whole=True)
    assert before == fingerprint(TASK, {"train": list(examples)}, whole=True)
    examples[3] = ([0.5], 3.0)
    assert before != fingerprint(TASK, {"train": examples}, whole=True)
    assert before != fingerprint(Regression([1], 1), {"train": examples[:499]}, whole=True)
