"""Distances and angles of a batch: counted by hand, blind to rotation and scale."""

from __future__ import annotations

import pytest
import torch

from compressbench.core.source import Source
from compressbench.techniques.distillation.rkd import RelationalDistillation, angles, distances
from tests.techniques.distillation.taught import EPOCH, after, context, network, pair, seen

RIGHT = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
"""A triangle of sides 3, 4 and 5, right-angled at its second corner."""
EVEN = torch.tensor([[0.0, 0.0, 1.0], [0.0, 2.0, 1.0], [0.0, 1.0, 1 + 3**0.5]])
"""An equilateral one, in three dimensions."""


def relational(**changes: object) -> RelationalDistillation:
    given = {"features": ["flatten"], "teacher_features": [], "distance_weight": 25.0, "angle_weight": 50.0}
    return RelationalDistillation(Source("teacher"), **{**given, **changes})  # type: ignore[arg-type]


def test_distances_are_1_on_average_and_angles_are_cosines() -> None:
    expected = torch.tensor([[0.0, 0.75, 1.25], [0.75, 0.0, 1.0], [1.25, 1.0, 0.0]])
    assert torch.allclose(distances(RIGHT), expected)
    seen_from = angles(RIGHT)
    assert float(seen_from[1, 0, 2]) == pytest.approx(0.0, abs=1e-6)
    assert float(seen_from[0, 1, 2]) == pytest.approx(3 / 5)
    assert float(seen_from[2, 0, 1]) == pytest.approx(4 / 5)
    assert float(angles(EVEN)[0, 1, 2]) == pytest.approx(0.5, abs=1e-6)


def test_the_losses_are_hubers() -> None:
    """Distances differ by 1/4 at four of nine places: 4 (1/4)^2 / 2 / 9. Of 27 angles twice 0.1, 0.5 and 0.3 differ:
    2 (0.01 + 0.25 + 0.09) / 2 / 27."""
    own, batch = [pair(RIGHT, EVEN)], seen((RIGHT, EVEN))
    assert float(relational(angle_weight=0.0).loss(own, batch)) == pytest.approx(8 + 25 * 0.125 / 9)
    assert float(relational(distance_weight=0.0).loss(own, batch)) == pytest.approx(8 + 50 * 0.35 / 27, rel=1e-5)


def test_a_batch_turned_moved_and_enlarged_is_the_same() -> None:
    turned = 7 * RIGHT @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]]) + 2
    assert float(relational().loss([pair(RIGHT, turned)], seen((RIGHT, turned)))) == pytest.approx(8, abs=1e-4)


def test_equal_examples_have_gradients_that_are_numbers() -> None:
    same = torch.ones(4, 3, requires_grad=True)
    relational().loss([pair(same, EVEN)], seen((same, torch.randn(4, 3)))).backward()
    assert same.grad is not None
    assert bool(torch.isfinite(same.grad).all())


def test_a_students_batch_comes_to_look_like_its_teachers() -> None:
    lent = context()
    ((images, _),) = lent.calibration(64, 1)
    student = relational(training=EPOCH, angle_weight=0.0, distance_weight=500.0).apply(network(2), lent)
    alone = relational(training=EPOCH, angle_weight=0.0, distance_weight=1e-9).apply(network(2), lent)
    all_of_them = (alone, student, lent.stages["teacher"])
    without, found, wanted = (distances(after(each, "flatten", images)) for each in all_of_them)
    assert (found - wanted).norm() < 0.9 * (without - wanted).norm()


@pytest.mark.parametrize("fields", [{"distance_weight": -1.0}, {"distance_weight": 0.0, "angle_weight": 0.0}])
def test_weights_out_of_range_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"distance_weight.*allowed"):
        relational(**fields)
