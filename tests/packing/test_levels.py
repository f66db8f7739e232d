"""Every format hands integers to the coder from which the very same tensor comes back."""

import math

import numpy as np
import pytest

from compressbench.core.format import (
    Binary,
    Codebook,
    Dense,
    FixedPoint,
    Format,
    Hashed,
    PowerOfTwo,
    Product,
    Sparse,
)
from compressbench.core.hashing import places
from compressbench.packing.levels import Array, from_levels, to_levels
from compressbench.packing.sizes import symbols_shape

SHAPES = [(7,), (), (0,), (0, 4), (3, 0), (5, 3), (4, 8, 3, 3), (1, 1, 1, 1), (2, 3, 5)]


def back(tensor: Array, form: Format) -> Array:
    """Return what comes back, and check what is said about sizes on the way."""
    levels = to_levels(tensor, form)
    dtype = str(tensor.dtype)
    sides = tuple(
        (dtype if isinstance(form, Dense) else "int32" if side.dtype == np.int32 else "float32", len(side))
        for side in levels.side
    )
    shape = symbols_shape(form, tensor.shape, dtype, sides, levels.alphabet)
    assert shape == (None if levels.symbols is None else levels.shape)
    if levels.symbols is not None:
        assert levels.symbols.dtype in (np.uint8, np.uint16)
        assert levels.symbols.shape == (math.prod(levels.shape),)
        assert int(levels.symbols.max(initial=0)) < levels.alphabet
    found = from_levels(levels, form, tensor.shape, tensor.dtype)
    assert found.dtype == tensor.dtype
    assert found.shape == tensor.shape
    return found


def same_bits(first: Array, second: Array) -> bool:
    return np.array_equal(np.atleast_1d(first).view(np.uint8), np.atleast_1d(second).view(np.uint8))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("form", "values"),
    [
        (Dense(), [0.1, -0.0, np.inf, np.nan]),
        (Sparse(), [0.0, 0.0, 0.1, -3.5, np.inf]),
        (Codebook(2), [0.0, 0.1, -0.2, 0.3, 0.4]),
        (Codebook(1), [0.1, -0.2]),  # without a zero
        (PowerOfTwo(4, 1), [0.0, 2.0, -2.0, 1.0, -0.25]),
        (FixedPoint(4, 2), [-2.0, 0.0, 0.25, 1.75]),
        (FixedPoint(8, -3), [-1024.0, 8.0, 1016.0]),
        (Binary(), [0.5, -0.5]),
    ],
    ids=str,
)
def test_tensors_of_every_shape_come_back_bit_for_bit(
    form: Format, values: list[float], shape: tuple[int, ...]
) -> None:
    tensor = np.random.default_rng(0).choice(np.array(values, np.float32), shape)
    tensor = np.asarray(tensor, np.float32)
    assert same_bits(back(tensor, form), tensor)


@pytest.mark.parametrize("value", [0.0, 0.7])
@pytest.mark.parametrize("form", [Sparse(), Codebook(0), Codebook(5)], ids=str)
def test_a_tensor_of_a_single_value_comes_back(form: Format, value: float) -> None:
    tensor = np.full((3, 4), value, np.float32)
    assert same_bits(back(tensor, form), tensor)


@pytest.mark.parametrize(
    "form", [Sparse(), Codebook(5), PowerOfTwo(5, 0), FixedPoint(8, 4), Hashed(4, 0), Product(2)], ids=str
)
def test_the_file_knows_one_zero(form: Format) -> None:
    """A mask times a negative weight is -0.0."""
    found = back(np.array([[-0.0, 0.0], [0.0, -0.0]], np.float32), form)
    assert not np.signbit(found).any()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_dense_integers_of_8_bits_are_symbols_the_small_ones_first(dtype: type[np.generic]) -> None:
    tensor = np.arange(256).astype(np.uint8).view(dtype).reshape(2, 128)
    levels = to_levels(tensor, Dense())
    assert levels.symbols is not None
    assert levels.symbols[[0, 255, 1, 254]].tolist() == [0, 1, 2, 3]  # 0, -1, 1, -2 as a signed number
    assert same_bits(back(tensor, Dense()), tensor)


def test_a_code_book_is_the_values_in_ascending_order_zero_is_symbol_0() -> None:
    levels = to_levels(np.array([0.5, 0.0, -0.5, 0.25, 0.5], np.float32), Codebook(2))
    assert levels.side[0].tolist() == [-0.5, 0.25, 0.5]
    assert levels.symbols is not None
    assert (levels.symbols.tolist(), levels.alphabet) == ([3, 0, 1, 2, 3], 4)
    without = to_levels(np.array([0.5, -0.5], np.float32), Codebook(2))
    assert without.symbols is not None
    assert (without.symbols.tolist(), without.alphabet) == ([1, 0], 2)


@pytest.mark.parametrize("count", [254, 255, 256, 257, 32768])
def test_code_books_whose_symbols_need_8_and_16_bits(count: int) -> None:
    values = np.arange(1, count + 1, dtype=np.float32)
    tensor = np.random.default_rng(0).permutation(np.concatenate([values, values, [0]]).astype(np.float32))
    assert to_levels(tensor, Codebook(15)).alphabet == count + 1
    assert same_bits(back(tensor, Codebook(15)), tensor)


def test_values_that_appear_late_in_a_large_tensor_are_found() -> None:
    tensor = np.zeros(200_000, np.float32)
    tensor[-5:] = [1, 2, 3, 2, 1]
    assert same_bits(back(tensor, Codebook(2)), tensor)


def test_more_values_than_the_bits_say_are_refused() -> None:
    with pytest.raises(ValueError, match="5 different values beside zero; 2 bits say 4"):
        to_levels(np.arange(6, dtype=np.float32), Codebook(2))
    with pytest.raises(ValueError, match="more than 32,768"):
        to_levels(np.arange(40_000, dtype=np.float32), Codebook(15))


def test_powers_of_two_are_numbered_from_the_largest_down_with_their_negatives() -> None:
    """5 bits: zero and 8 powers of either sign (Zhou et al. 2017, section 2.1: n2 = n1 + 1 - 2^(b - 1) / 2)."""
    form = PowerOfTwo(5, -1)
    powers = [0.0] + [sign * 2.0**-exponent for exponent in range(1, 9) for sign in (1, -1)]
    levels = to_levels(np.array(powers, np.float32), form)
    assert levels.symbols is not None
    assert (levels.symbols.tolist(), levels.alphabet) == (list(range(17)), 17)
    for wrong in (2.0**-9, 1.0, 0.3, math.nan, math.inf):
        with pytest.raises(ValueError, match="no power of two of 5 bits from 2\\^-1 down"):
            to_levels(np.array([wrong], np.float32), form)


def test_fixed_point_numbers_are_their_integers() -> None:
    levels = to_levels(np.array([0, -0.25, 0.25, -2, 1.75], np.float32), FixedPoint(4, 2))  # 0, -1, 1, -8, 7
    assert levels.symbols is not None
    assert (levels.symbols.tolist(), levels.alphabet) == ([0, 1, 2, 15, 14], 16)
    for wrong in (2.0, -2.25, 0.125, math.nan, math.inf, 3e38):
        with pytest.raises(ValueError, match="no integer of 4 bits"):
            to_levels(np.array([0.25, wrong], np.float32), FixedPoint(4, 2))


def test_binary_weights_have_one_scale_or_one_a_row() -> None:
    one = to_levels(np.array([[0.5, -0.5], [-0.5, -0.5]], np.float32), Binary())
    assert one.symbols is not None
    assert (one.symbols.tolist(), one.side[0].tolist()) == ([0, 1, 1, 1], [0.5])
    rows = np.array([[0.5, -0.5], [-2, -2]], np.float32)
    assert to_levels(rows, Binary()).side[0].tolist() == [0.5, 2]
    assert same_bits(back(rows, Binary()), rows)
    for wrong in ([[0.5, 0.25]], [[0.5, 0.0]], [[0.0, 0.0]], [[math.nan, math.nan]]):
        with pytest.raises(ValueError, match="differ in magnitude, or are zero"):
            to_levels(np.array(wrong, np.float32), Binary())


def test_code_words_are_runs_of_input_channels_at_one_place_a_code_book_for_each_group() -> None:
    """2 rows, 4 channels, 1 x 2 kernels; runs of 2 channels: 2 groups with 2 rows x 2 positions each."""
    a, b, c, d = (1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (-1.0, 0.0)
    runs = [[[a, b], [c, c]], [[b, a], [c, d]]]  # row, group, position
    tensor = np.array(runs, np.float32).transpose(0, 1, 3, 2).reshape(2, 4, 1, 2)
    assert tensor[0, :2, 0, 0].tolist() == [1, 2]
    assert tensor[0, :2, 0, 1].tolist() == [3, 4]
    levels = to_levels(tensor, Product(2))
    assert levels.symbols is not None
    assert levels.shape == (2, 4)
    assert levels.side[0].tolist() == [2, 2]
    words = levels.side[1].reshape(2, 2, 2)
    first = [tuple(words[0, symbol].tolist()) for symbol in levels.symbols[:4]]
    second = [tuple(words[1, symbol].tolist()) for symbol in levels.symbols[4:]]
    assert (first, second) == ([a, b, b, a], [c, c, c, d])
    assert same_bits(back(tensor, Product(2)), tensor)


@pytest.mark.parametrize("shape", [(6, 8), (5, 12, 3, 3), (1, 4)], ids=str)
@pytest.mark.parametrize("dimension", [1, 2, 4])
def test_code_words_of_matrices_and_kernels_come_back(shape: tuple[int, ...], dimension: int) -> None:
    tensor = np.random.default_rng(0).choice(np.array([0, 1, -1], np.float32), shape)
    assert same_bits(back(tensor, Product(dimension)), tensor)


def test_channels_that_the_dimension_does_not_divide_are_refused() -> None:
    for shape in ((4, 6), (4,), (0, 4)):
        with pytest.raises(ValueError, match=r"cannot be split|empty"):
            to_levels(np.zeros(shape, np.float32), Product(4))


def test_hashed_weights_are_their_buckets() -> None:
    bucket, sign = places((6, 5), 7, 3)
    tensor = (np.arange(7, dtype=np.float32)[bucket] * sign).reshape(6, 5)
    levels = to_levels(tensor, Hashed(7, 3))
    assert levels.symbols is None
    assert levels.side[0].tolist() == [value if value in bucket else 0 for value in range(7)]
    assert np.array_equal(back(tensor, Hashed(7, 3)), tensor)
    tensor[0, 0] += 1
    with pytest.raises(ValueError, match="elements of one of its 7 buckets differ"):
        to_levels(tensor, Hashed(7, 3))


@pytest.mark.parametrize("form", [Sparse(), Codebook(2), Binary()], ids=str)
def test_formats_are_for_float32(form: Format) -> None:
    with pytest.raises(ValueError, match="float64 is stored dense"):
        to_levels(np.zeros(3), form)
