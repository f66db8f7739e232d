"""Similarities within a batch: counted by hand, whatever the shapes."""

from __future__ import annotations

import pytest
import torch

from compressbench.core.source import Source
from compressbench.techniques.distillation.similarity_preserving import SimilarityPreserving, similarities
from tests.techniques.distillation.taught import EPOCH, after, context, network, pair, seen


def preserving(**changes: object) -> SimilarityPreserving:
    given = {"features": ["conv2"], "teacher_features": [], "weight": 3000.0}
    return SimilarityPreserving(Source("teacher"), **{**given, **changes})  # type: ignore[arg-type]


def test_similarities_are_products_of_examples_in_rows_of_length_1() -> None:
    """(3, 0) and (3, 4): products 9, 9 and 9, 25."""
    found = similarities(torch.tensor([[[3.0], [0.0]], [[3.0], [4.0]]]))
    assert found[0].tolist() == pytest.approx([0.5**0.5, 0.5**0.5])
    assert found[1].tolist() == pytest.approx([9 / 706**0.5, 25 / 706**0.5])


def test_the_loss_is_gamma_over_the_square_of_the_batch() -> None:
    """The student tells two examples apart (1, 0; 0, 1), the teacher does not (four times the root of 1/2):
    2 (1 - 0.7071)^2 + 2 / 2 over 2^2 is 1 - 0.7071."""
    ours, theirs = torch.eye(2), torch.ones(2, 3, 1, 1)
    found = preserving().loss([pair(ours, theirs)], seen((ours, theirs)))
    assert float(found) == pytest.approx(8 + 3000 * (1 - 0.5**0.5))
    turned = torch.tensor([[0.0, -5.0], [5.0, 0.0]])
    assert float(preserving().loss([pair(ours, turned)], seen((ours, turned)))) == pytest.approx(8)


def test_what_is_alike_to_the_teacher_becomes_alike_to_the_student() -> None:
    lent = context()
    ((images, _),) = lent.calibration(64, 1)
    student = preserving(training=EPOCH).apply(network(2), lent)
    alone = preserving(training=EPOCH, weight=1e-9).apply(network(2), lent)
    all_of_them = (alone, student, lent.stages["teacher"])
    without, found, wanted = (similarities(after(each, "conv2", images)) for each in all_of_them)
    assert (found - wanted).norm() < 0.9 * (without - wanted).norm()


def test_a_weight_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="weight is inf; allowed: more than 0"):
        preserving(weight=float("inf"))
