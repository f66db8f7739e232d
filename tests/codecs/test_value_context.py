"""The model of the values."""

import numpy

from compressbench.codecs import context, value_context
from compressbench.codecs.mask_context import Densities, Layout


def test_classes_are_equal_and_ordered_by_density():
    layout = Layout(80, 10, 1)
    densities = Densities(layout, 1 << 15)
    rows, columns = (part.ravel() for part in numpy.indices((80, 10)))
    densities.learn(rows, columns, numpy.flatnonzero(columns * 80 < rows * 10))  # the later the row, the denser
    positions = numpy.arange(800)
    classes = value_context.classes_of(densities, positions)
    assert set(classes.tolist()) == set(range(8))
    row, column = densities.scores()
    scores = row[positions // 10] + column[positions % 10]
    for number in range(7):
        assert scores[classes == number].max() <= scores[classes == number + 1].min()
    assert numpy.bincount(classes).max() <= 130


def test_few_values_are_one_class():
    densities = Densities(Layout(8, 8, 1), 1 << 15)
    assert set(value_context.classes_of(densities, numpy.arange(20)).tolist()) == {0}


def test_values_that_depend_on_the_density_of_their_row_take_less():
    """Rows of 5 % have values 1 to 4, rows of 40 % have 5 to 8: known where a value stands, 2 bits instead of 2.5."""
    rng = numpy.random.default_rng(0)
    dense = numpy.arange(400)[:, None] % 2
    mask = rng.random((400, 300)) < numpy.where(dense, 0.4, 0.05)
    small = rng.integers(1, 5, mask.shape)
    related = len(context.encode((mask * (small + 4 * dense)).ravel(), 9, mask.shape))
    shuffled = small + 4 * (rng.random(mask.shape) < 8 / 9)
    unrelated = len(context.encode((mask * shuffled).ravel(), 9, mask.shape))
    assert unrelated - related >= 0.8 * mask.sum() * 0.503 / 8  # the entropy of 1/9 is 0.503 bits


def test_blocks_grow_by_a_quarter_and_cover_everything():
    blocks = list(value_context._blocks(1000))
    assert blocks[0] == (0, 32)
    assert [end for _, end in blocks[:-1]] == [start for start, _ in blocks[1:]]
    assert blocks[-1][1] == 1000
    assert len(blocks) <= 20
