"""Which images are held out or kept by a limit."""

import numpy
import pytest

from compressbench.data._selection import balanced, epoch_length, held_out


def test_held_out_images_are_always_the_same_ones():
    labels = numpy.arange(50) % 5
    first, again = held_out(labels, 10), held_out(labels, 10)
    assert first[1].tolist() == again[1].tolist()
    assert sorted([*first[0], *first[1]]) == list(range(50))


def test_held_out_images_are_these_so_that_old_results_stay_comparable():
    assert held_out(numpy.arange(50) % 5, 5)[1].tolist() == [13, 19, 25, 26, 37]


def test_held_out_classes_are_in_proportion_and_the_images_are_spread():
    labels = numpy.repeat([0, 1, 2], [600, 300, 100])
    _, out = held_out(labels, 50)
    assert numpy.bincount(labels[out]).tolist() == [30, 15, 5]
    assert len(set(numpy.diff(out))) > 5  # drawn, not every twentieth


def test_holding_out_nothing_keeps_everything():
    kept, out = held_out(numpy.arange(7), 0)
    assert (len(kept), len(out)) == (7, 0)


def test_the_global_random_state_of_numpy_is_left_alone():
    before = numpy.random.get_state()[1].tolist()
    held_out(numpy.arange(50), 10)
    assert numpy.random.get_state()[1].tolist() == before


def test_a_balanced_choice_of_cyclic_labels_has_every_class():
    labels = numpy.arange(100) % 10
    assert numpy.bincount(labels[balanced(labels, 10)]).tolist() == [1] * 10


@pytest.mark.parametrize(("images", "batch_size", "used"), [(10, 4, 8), (8, 4, 8), (3, 4, 3), (4, 4, 4)])
def test_a_shuffled_epoch_uses_whole_batches_or_everything(images, batch_size, used):
    assert epoch_length(images, batch_size) == used
