"""The model of the mask: what it learns, and what it costs where there is nothing to learn."""

import numpy
import pytest

from compressbench.codecs import mask_context
from compressbench.codecs.ans import Decoder, Encoder
from compressbench.codecs.fixed_point import PROBABILITY
from compressbench.codecs.mask_context import Layout

SHAPES = [
    (1,),
    (7,),
    (3, 4),
    (300, 64),
    (64, 3, 5, 5),
    (40, 1, 3, 3),
    (1, 50),
    (50, 1),
    (5, 6, 7),
    (2, 3, 4, 5, 6),
    (2, 700),
]


def coded(mask, shape):
    """Return the bytes of a mask, having looked that it comes back."""
    layout, encoder = Layout.of(shape), Encoder()
    density = int(mask.mean() * PROBABILITY)
    after = mask_context.encode(encoder, mask.ravel(), layout, density)
    data = encoder.to_bytes()
    decoder = Decoder(data)
    found, densities = mask_context.decode(decoder, layout, density)
    decoder.finish()
    assert (found == mask.ravel()).all()
    for ours, theirs in zip(densities.scores(), after.scores(), strict=True):
        assert (ours == theirs).all()
    return data


def entropy_bytes(density, count):
    return -count * (density * numpy.log2(density) + (1 - density) * numpy.log2(1 - density)) / 8


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("blocks", [False, True])
def test_every_element_is_in_one_step(shape, blocks, monkeypatch):
    if blocks:
        monkeypatch.setattr(mask_context, "BLOCK", 16)
        monkeypatch.setattr(mask_context, "EVERY_CLASS_FROM", 1)
    layout = Layout.of(shape)
    found = [rows * layout.columns + columns for step in layout.steps() for rows, columns in step]
    assert sorted(numpy.concatenate(found).tolist()) == list(range(int(numpy.prod(shape))))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
def test_masks_come_back(shape, density):
    coded(numpy.random.default_rng(0).random(shape) < density, shape)


def test_a_mask_without_structure_takes_one_percent_more_than_its_entropy():
    mask = numpy.random.default_rng(0).random((256, 128, 3, 3)) < 0.11
    assert len(coded(mask, mask.shape)) <= 1.01 * entropy_bytes(mask.mean(), mask.size)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_densities_of_rows_channels_and_kernel_positions_are_learned(axis):
    """Densities of 2 and 20 % by turns along one axis: the entropy knows which, the code has to learn it."""
    shape = (128, 64, 9)
    size = [1, 1, 1]
    size[axis] = shape[axis]
    density = numpy.where(numpy.arange(shape[axis]) % 2, 0.2, 0.02).reshape(size) + numpy.zeros(shape)
    mask = numpy.random.default_rng(0).random(shape) < density
    bound = entropy_bytes(density, 1).sum()
    assert entropy_bytes(mask.mean(), mask.size) > 1.11 * bound
    assert len(coded(mask, (128, 64, 3, 3))) <= 1.025 * bound


def test_effects_of_rows_and_columns_add_up():
    rng = numpy.random.default_rng(0)
    odds = numpy.exp(rng.normal(-2.5, 1, (300, 1)) + rng.normal(0, 1, (1, 400)))
    density = odds / (1 + odds)
    mask = rng.random(density.shape) < density
    bound = entropy_bytes(density, 1).sum()  # knows all 700 effects; 5 bits for each would be 7 % of it
    assert entropy_bytes(mask.mean(), mask.size) > 1.15 * bound
    assert len(coded(mask, mask.shape)) <= 1.05 * bound


def test_densities_learn_like_bayes():
    """No non-zero among 20 seen where half were expected, weighing 20: 10 of 40, odds of 1 to 3."""
    score = mask_context._score(numpy.array([0]), numpy.array([20]), PROBABILITY // 2, 20)
    assert abs(int(score[0]) - round(32 * numpy.log2(1 / 3))) <= 1
