"""Relative indices against figure 2 of Deep Compression (Han et al. 2016)."""

import numpy
import pytest

from compressbench.codecs import relative_index


def figure_2():
    """Non-zeros 3.4, 0.9 and 1.7 at 1, 4 and 15, counted from 1 as its first gap of 1 says; here codes 1, 2 and 3."""
    symbols = numpy.zeros(15, numpy.uint8)
    symbols[[0, 3, 14]] = [1, 2, 3]
    return symbols


def test_the_figure_has_one_filler_zero():
    """Its row of gaps reads 1, 3, 8, 3 with the third a filler; stored is each but one, in three bits."""
    codes, gaps = relative_index.to_relative(figure_2(), 3)
    assert codes.tolist() == [1, 2, 0, 3]
    assert (gaps + 1).tolist() == [1, 3, 8, 3]
    assert relative_index.from_relative(codes, gaps, 15).tolist() == figure_2().tolist()


def test_four_bits_need_no_filler_there():
    codes, gaps = relative_index.to_relative(figure_2(), 4)
    assert codes.tolist() == [1, 2, 3]
    assert (gaps + 1).tolist() == [1, 3, 11]


@pytest.mark.parametrize("gap", [7, 8, 9, 16, 17])
def test_a_gap_of_all_bits_fits_and_one_more_does_not(gap):
    symbols = numpy.zeros(40, numpy.uint8)
    symbols[gap - 1] = 1
    codes, _ = relative_index.to_relative(symbols, 3)
    assert codes.size - 1 == (gap - 1) // 8


def test_the_best_width_is_the_best_of_all():
    rng = numpy.random.default_rng(0)
    for density in (0.5, 0.1, 0.01):
        symbols = numpy.where(rng.random(20000) < density, rng.integers(1, 16, 20000), 0)
        sizes = {width: len(relative_index.encode(symbols, 16, width)) for width in relative_index.INDEX_BITS}
        assert len(relative_index.encode(symbols, 16, None)) <= min(sizes.values()) + 4  # tables are not counted
        assert sizes[2] > min(sizes.values()) or density == 0.5


def test_entries_beyond_the_tensor_are_an_error():
    data = relative_index.encode(figure_2(), 4, 3)
    with pytest.raises(ValueError, match="in a tensor of 14"):
        relative_index.decode(data, 4, 14)
    with pytest.raises(ValueError, match="index_bits: 13"):
        relative_index.encode(figure_2(), 4, 13)
