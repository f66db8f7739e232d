"""Every technique after every one of another family: it runs and what it leaves is whole, or a reason is given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from compressbench.testing.technique import opened
from tests.techniques.pairs import KINDS, After, after, declared_fault, family, others, outcome
from tests.techniques.tiny import Tiny

REPRESENTATIVES = [
    *("coding/entropy", "distillation/kd", "lowrank/svd", "pruning/l1_norm", "pruning/magnitude"),
    *("quantization/lsq", "quantization/ptq_int8", "sharing/kmeans", "training/finetune"),
]


NOTHING_HERE = {"pruning/heads", "quantization/smoothquant"}
"""What finds nothing to work on in the tiny network, and says so."""


def test_each_family_is_represented() -> None:
    assert {*map(family, REPRESENTATIVES)} == {*map(family, KINDS)}


@pytest.fixture(autouse=True)
def _the_tiny_network_may_be_named() -> Iterator[None]:
    with opened(Tiny):
        yield


def faults(given: After, seconds: list[str]) -> dict[str, str]:
    """Return what was raised that is no reason, by the technique."""
    found = {}
    for second in seconds:
        try:
            outcome(given, second)
        except Exception as error:  # all of them are told together
            found[second] = f"{type(error).__name__}: {error}"
    return found


@pytest.mark.long
@pytest.mark.parametrize("first", [kind for kind in KINDS if kind not in NOTHING_HERE])
def test_whatever_follows_runs_and_is_whole_or_is_refused_with_a_reason(first: str) -> None:
    assert faults(after(first), others(first)) == {}


@pytest.mark.parametrize("first", REPRESENTATIVES)
def test_representatives_of_each_family_follow_each_other(first: str) -> None:
    assert faults(after(first), [kind for kind in others(first) if kind in REPRESENTATIVES]) == {}


@pytest.mark.slow
@pytest.mark.parametrize("first", [kind for kind in KINDS if kind not in NOTHING_HERE])
def test_representatives_of_each_family_follow_everything(first: str) -> None:
    assert faults(after(first), [kind for kind in others(first) if kind in REPRESENTATIVES]) == {}


@pytest.mark.slow
@pytest.mark.parametrize("first", REPRESENTATIVES)
def test_everything_follows_representatives_of_each_family(first: str) -> None:
    assert faults(after(first), others(first)) == {}


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ("quantization/lsq", "pruning/magnitude", "cannot take a network with quantized weights"),
        ("quantization/ptq_int8", "training/finetune", "cannot train int8 weights"),
        ("quantization/twn", "sharing/retrain_centroids", "needs a network whose weights share values"),
        ("quantization/bwn", "training/rewind", "cannot take a network with quantized weights"),
        ("pruning/magnitude", "quantization/loss_aware_binarization", "with 1 bit cannot take a network with zeroed"),
        ("pruning/magnitude", "training/from_scratch", "cannot take a network that is trained already"),
    ],
)
def test_an_order_without_sense_is_refused_before_anything_runs(first: str, second: str, reason: str) -> None:
    assert reason in declared_fault([first, second])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("lowrank/svd", "quantization/ptq_int8"),
        ("pruning/magnitude", "coding/entropy"),
        ("pruning/magnitude", "quantization/lsq"),
        ("pruning/l1_norm", "quantization/bnn"),
        ("pruning/l1_norm", "sharing/kmeans"),
        ("distillation/kd", "pruning/magnitude"),
        ("quantization/twn", "coding/entropy"),
        ("quantization/lsq", "distillation/kd"),
        ("pruning/random_filters", "training/from_scratch"),
    ],
)
def test_what_people_stack_does_run(first: str, second: str) -> None:
    assert outcome(after(first), second) == ""


@pytest.mark.parametrize("kind", sorted(NOTHING_HERE))
def test_what_finds_nothing_to_work_on_says_so(kind: str) -> None:
    with pytest.raises(ValueError, match=r"leaves no layer of Tiny|Tiny has no"):
        after(kind)


def test_channels_are_not_followed_through_a_tensor_train() -> None:
    """torch-pruning would take hours and gigabytes."""
    reason = outcome(after("lowrank/tensor_train"), "pruning/group_lasso")
    assert "is a tensor train, through which channels cannot be followed" in reason
