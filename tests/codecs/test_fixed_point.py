"""Integer logarithms and probabilities against floating point, and against known values to the last bit."""

import hashlib

import numpy

from compressbench.codecs import fixed_point


def test_roots_are_powers_of_two_rounded_down():
    expected = [2 ** (power / 32) * 2**32 for power in range(32)]
    assert numpy.all(numpy.abs(fixed_point.ROOTS - expected) <= 1)
    assert fixed_point.ROOTS[16] == 6074000999  # floor(sqrt(2) x 2^32)


def test_logarithms_are_right_to_a_unit():
    values = numpy.unique(numpy.geomspace(1, 2**53, 5000).astype(numpy.int64))
    difference = 32 * numpy.log2(values.astype(float)) - fixed_point.logarithm(values)
    assert difference.min() >= 0
    assert difference.max() <= 1.2


def test_probabilities_are_those_of_the_odds():
    scores = numpy.arange(-fixed_point.HIGHEST, fixed_point.HIGHEST + 1)
    expected = 65536 / (1 + 2.0 ** (-scores / 32))
    assert numpy.all(numpy.abs(fixed_point.probability(scores) - expected) <= 1)


def test_tables_are_the_same_on_every_machine():
    """A digest of both tables: files that were written elsewhere are read with exactly these."""
    tables = [fixed_point.logarithm(numpy.arange(1, 4096)), fixed_point.probability(numpy.arange(-400, 401))]
    content = b"".join(table.astype("<i8").tobytes() for table in tables)
    assert hashlib.sha256(content).hexdigest()[:16] == "024896eb61de6bb1"
