"""Attention maps: counted by hand, blind to widths and scales."""

from __future__ import annotations

import pytest
import torch

from compressbench.core.source import Source
from compressbench.techniques.distillation.attention_transfer import AttentionTransfer, attention
from tests.techniques.distillation.taught import EPOCH, after, context, network, pair, seen


def transfer(**changes: object) -> AttentionTransfer:
    given = {"features": ["conv1"], "teacher_features": [], "weight": 1000.0, "power": 2.0}
    return AttentionTransfer(Source("teacher"), **{**given, **changes})  # type: ignore[arg-type]


def test_a_map_is_a_sum_of_powers_over_channels_divided_by_its_length() -> None:
    """Channels 3 and 4 at the first place, 0 and -12 at the second: 25 and 144 with p = 2, 7 and 12 with p = 1."""
    maps = torch.tensor([[[[3.0, 0.0]], [[4.0, -12.0]]]])
    assert attention(maps, 2.0, (1, 2))[0].tolist() == pytest.approx([25 / 146.154, 144 / 146.154], rel=1e-4)
    assert attention(maps, 1.0, (1, 2))[0].tolist() == pytest.approx([7 / 193**0.5, 12 / 193**0.5])


def test_the_loss_is_beta_times_the_mean_square_of_the_difference() -> None:
    """The student looks at places 1 and 2 (0.6, 0.8), the teacher at the last: (0.36 + 0.64 + 0 + 1) / 4."""
    ours = torch.tensor([[[[3.0, 4.0], [0.0, 0.0]]]])
    theirs = torch.tensor([[[[0.0, 0.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 5.0]]]])
    found = transfer(power=1.0).loss([pair(ours, theirs)], seen((ours, theirs)))
    assert float(found) == pytest.approx(8 + 1000 * 0.5)
    assert float(transfer().loss([pair(ours, theirs)], seen((ours, 3 * ours.repeat(1, 5, 1, 1))))) == pytest.approx(8)


def test_a_teachers_larger_map_is_interpolated() -> None:
    even, halves = torch.ones(2, 3, 2, 2), torch.ones(2, 5, 4, 4)
    halves[:, :, :, 2:] = 3.0
    assert float(transfer().loss([pair(even, halves)], seen((even, torch.ones(2, 5, 4, 4))))) == pytest.approx(8)
    row = [1 / 164**0.5, 9 / 164**0.5]
    assert attention(halves, 2.0, (2, 2))[0].tolist() == pytest.approx([*row, *row])


def test_a_student_looks_where_its_teacher_looks() -> None:
    lent = context()
    ((images, _),) = lent.calibration(64, 1)
    fields = {"features": ["conv1", "conv2"], "training": EPOCH}
    student = transfer(**fields).apply(network(2), lent)
    alone = transfer(**fields, weight=1e-9).apply(network(2), lent)
    for name in ("conv1", "conv2"):
        looked_at = [after(each, name, images) for each in (alone, student, lent.stages["teacher"])]
        without, found, wanted = (attention(maps, 2.0, maps.shape[2:]) for maps in looked_at)
        assert (found - wanted).norm() < 0.9 * (without - wanted).norm()


def test_what_is_no_map_or_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fc gives \[10\] of an example.*allowed: maps"):
        transfer(features=["fc"], training=EPOCH).apply(network(2), context())
    with pytest.raises(ValueError, match="power is 0"):
        transfer(power=0.0)
    with pytest.raises(ValueError, match="weight is 0"):
        transfer(weight=0.0)
