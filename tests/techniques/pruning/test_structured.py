"""How many filters stay, which, and what is said when a ratio asks for too few."""

from fractions import Fraction

import pytest
import torch

from compressbench.core.constraint import Mask
from compressbench.techniques.pruning._groups import Group
from compressbench.techniques.pruning._structured import fitting, lowest, share, weakest
from tests.techniques.lending import ALEXNET, PLAIN, StageContext, subject_of
from tests.techniques.pruning.twins import halve


def test_a_network_with_masks_keeps_its_filters():
    subject = subject_of(ALEXNET, **PLAIN)
    subject.constraints.append(Mask("conv2.weight", torch.ones(192, 64, 5, 5, dtype=torch.bool)))
    with pytest.raises(ValueError, match="prune filters before weights"):
        halve("conv").apply(subject, StageContext())


@pytest.mark.parametrize(
    ("size", "ratio", "kept"),
    [(64, 0.3, 44), (192, 0.3, 134), (192, 0.5, 96), (384, 0.6, 153), (256, 0.6, 102), (10, 0.3, 7), (10, 0.9, 1)],
)
def test_the_number_kept_is_the_floor_of_the_decimal_that_was_written(size, ratio, kept):
    assert int(share(size, ratio)) == kept


@pytest.mark.parametrize(
    ("size", "kept", "round_to", "blocks", "fits"),
    [
        (64, 44, 1, 1, 44),
        (64, 44, 16, 1, 48),
        (64, 48, 16, 1, 48),
        (20, 18, 16, 1, 20),
        (8, 0, 1, 1, 1),
        (8, 7, 1, 4, 4),
    ],
)
def test_the_number_kept_is_rounded_to_multiples_and_never_zero(size, kept, round_to, blocks, fits):
    assert fitting(kept, Group(("conv",), size, (), blocks), round_to) == fits


def test_a_layer_is_never_emptied_and_that_is_reported():
    subject = halve("conv", ratio=0.99).apply(subject_of(ALEXNET, **PLAIN), StageContext())
    assert subject.model.conv1.out_channels == 1
    assert subject.model.conv3.out_channels == 3  # floor(3.84)
    assert [skipped.what for skipped in subject.skipped] == ["conv1"]
    assert "never emptied" in subject.skipped[0].why


def test_a_layer_that_rounding_leaves_whole_is_reported():
    subject = halve("conv1", "conv2", round_to=64).apply(subject_of(ALEXNET, **PLAIN), StageContext())
    assert [subject.model.conv1.out_channels, subject.model.conv2.out_channels] == [64, 128]
    assert [(skipped.what, skipped.why) for skipped in subject.skipped] == [
        ("conv1", "rounded up to a multiple of 64, all of its 64 filters stay")
    ]


def test_scores_that_are_not_numbers_are_refused():
    subject = subject_of(ALEXNET, **PLAIN)
    with torch.no_grad():
        subject.model.conv2.weight[3] = float("nan")
    with pytest.raises(ValueError, match="a weight of conv2 is not a number"):
        halve("conv").apply(subject, StageContext())


def test_equal_scores_are_removed_from_the_front():
    group = Group(("conv",), 4, ())
    assert weakest(torch.tensor([1.0, 1.0, 0.5, 1.0]), 2, group, 1, []) == {0, 2}


@pytest.mark.parametrize("scope", ["per_layer", "global"])
def test_where_rounding_has_taken_more_before_none_goes_now(scope):
    groups = [(Group((name,), 4, ()), Fraction(9, 2)) for name in ("left", "right")]
    scores = [torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([5.0, 6.0, 7.0, 8.0])]
    assert [gone for _, gone in lowest(groups, scores, 1, scope, [])] == [set(), set()]
