"""Tables of which symbols occur, and a level for each."""

import numpy
import pytest

from compressbench.codecs.bits import BitReader, BitWriter
from compressbench.codecs.tables import read_levels, write_levels


def written(levels):
    writer = BitWriter()
    write_levels(writer, numpy.array(levels, numpy.int64))
    return writer.to_bytes()


@pytest.mark.parametrize("levels", [[3], [0], [1, 1, 1], [0, 0, 9, 8, 0, 12, 0], [40] + [3] * 30, [0] * 1000 + [7]])
def test_levels_come_back(levels):
    assert read_levels(BitReader(written(levels)), len(levels), 40).tolist() == levels


def test_smooth_levels_take_little():
    """31 levels that differ by 0 or 1: a bit that all occur, 3 for the order, at most 3 for each but the first."""
    levels = [10 + abs(number - 15) // 4 for number in range(31)]
    assert len(written(levels)) <= (1 + 3 + 9 + 30 * 3 + 7) // 8


def test_sparse_symbols_of_a_large_alphabet_take_no_bit_for_each_absent_one():
    levels = numpy.zeros(65536, int)
    levels[::6553] = 5
    assert len(written(levels)) < 50


def test_levels_and_symbols_out_of_range_are_errors():
    with pytest.raises(ValueError, match="level 9"):
        read_levels(BitReader(written([2, 9])), 2, 8)
    with pytest.raises(ValueError, match="symbol"):
        read_levels(BitReader(written([0] * 200 + [1])), 100, 8)
    with pytest.raises(ValueError, match="but not all"):
        read_levels(BitReader(written([0, 1, 1, 1])), 2, 8)
