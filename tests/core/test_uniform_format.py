"""Integers times scales: the very tensor comes back, and scales are found again where rows say less than they could."""

from __future__ import annotations

import math

import numpy as np
import pytest

from compressbench.core.levels import Array, Levels
from compressbench.core.uniform_format import Uniform


def numbers(whole: object, scales: object) -> Array:
    return np.asarray(np.asarray(whole, float) * np.asarray(scales, float), np.float32)


def back(tensor: Array, form: Uniform) -> Levels:
    levels = form.levels(tensor)
    lengths = [len(side) for side in levels.side]
    assert form.symbols_shape(tensor.shape, lengths, levels.alphabet) == tensor.shape
    assert form.tensor(levels, tensor.shape).tobytes() == tensor.tobytes()
    return levels


def test_two_rows_have_their_scales_and_zero_is_symbol_0() -> None:
    levels = back(numbers([[0, -1, 1, -8], [7, 0, 2, -3]], [[0.3125], [3.0]]), Uniform(4))
    assert levels.symbols is not None
    assert levels.symbols.tolist() == [0, 1, 2, 15, 14, 0, 4, 5]
    assert (levels.side[0].tolist(), levels.side[1].tolist()) == ([], [0.3125, 3.0])


def test_a_scale_that_is_enough_for_all_rows_is_stored_once() -> None:
    levels = back(numbers([[2, 4, 0], [3, -6, 3], [0, 0, 0]], 0.0625), Uniform(4))  # rows alone: 1/8, 3/16 and any
    assert levels.side[1].tolist() == [0.0625]
    assert levels.symbols is not None
    assert levels.symbols.tolist() == [4, 8, 0, 6, 11, 6, 0, 0, 0]


def test_groups_of_columns_have_their_own_the_last_may_be_shorter() -> None:
    levels = back(numbers([[1, 2, 3, -2, 1]], [[0.5, 0.5, 0.75, 0.75, 5.0]]), Uniform(3, 2))
    assert levels.side[1].tolist() == [0.5, 0.75, 5.0]


def test_numbers_on_one_side_have_a_zero_point() -> None:
    """0 to 15 and -12 to 3 need 4 bits with a zero point, which is the symbols' only offset: zero stays symbol 0."""
    levels = back(numbers([[0, 1, 15, 3], [-12, 0, 3, 1]], [[0.5], [0.75]]), Uniform(4))
    assert levels.side[0].tolist() == [0, 12]
    assert levels.symbols is not None
    assert levels.symbols.tolist() == [0, 1, 15, 3, 4, 0, 3, 1]
    with pytest.raises(ValueError, match="no integers of 3 bits"):
        Uniform(3).levels(numbers([[0, 1, 15, 3]], 0.5))


def test_what_the_integers_of_a_row_have_in_common_goes_into_its_scale() -> None:
    """7 x 129 is too long for bfloat16, so the scale is a seventh of it again; 2 x 129 is not."""
    levels = back(numbers([[7, 0, -7], [2, 4, 6]], [[129.0], [129.0 / 1024]]), Uniform(4))
    assert levels.side[1].tolist() == [129.0, 258 / 1024]


@pytest.mark.parametrize("shape", [(7,), (), (0,), (0, 4), (3, 0), (5, 3), (4, 8, 3, 3), (1, 1, 1, 1)], ids=str)
@pytest.mark.parametrize("group", [0, 4])
@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_tensors_of_every_shape_come_back_bit_for_bit(bits: int, group: int, shape: tuple[int, ...]) -> None:
    """Scales of bfloat16, of all sizes, and integers of all bits: of products like that none is rounded."""
    generator = np.random.default_rng(0)
    rows = shape[0] if len(shape) > 1 else 1
    columns = math.prod(shape) // rows if rows else 0
    runs = -(-columns // group) if group else 1
    scales = np.ldexp(generator.integers(128, 256, (rows, runs)), generator.integers(-30, 10, (rows, runs)))
    whole = generator.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (rows, columns))
    spread = np.repeat(scales, group or max(columns, 1), axis=1)[:, :columns]
    back(numbers(whole, spread).reshape(shape), Uniform(bits, group))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 0.3, 1e-30, 3e38])
def test_other_values_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="no integers of 4 bits times a scale of their row"):
        Uniform(4).levels(np.array([[1.0, 2.0], [3.0, wrong]], np.float32))


def test_a_large_tensor_is_looked_at_in_parts() -> None:
    whole = np.random.default_rng(0).integers(-7, 8, (3, 700_000))
    assert len(back(numbers(whole, [[0.5], [0.75], [1.0]]), Uniform(4, 350_000)).side[1]) == 6


@pytest.mark.parametrize(
    "side",
    [
        [np.zeros(0, np.float32), np.ones(1, np.float32)],
        [np.zeros(0, np.int32), np.full(1, np.nan, np.float32)],
        [np.zeros(0, np.int32), np.zeros(1, np.float32)],
        [np.full(1, 16, np.int32), np.ones(1, np.float32)],
        [np.full(1, -1, np.int32), np.ones(1, np.float32)],
    ],
    ids=str,
)
def test_scales_and_zero_points_that_cannot_be_are_refused(side: list[Array]) -> None:
    with pytest.raises(ValueError, match="sizes do not fit"):
        Uniform(4).tensor(Levels(np.zeros(4, np.uint8), 16, (2, 2), side), (2, 2))
