"""The context coder as a whole."""

import hashlib

import numpy
import pytest

from compressbench.codecs import ans, context


def patterned(shape):
    """A pruned tensor without a random generator: squares modulo a prime look random enough, and rows differ."""
    number = numpy.arange(int(numpy.prod(shape)), dtype=numpy.int64)
    hashed = (number * number * 7919 + 13 * number) % 1009
    row = number // (number.size // shape[0])
    return numpy.where(hashed < 20 * (row % 10), 1 + (hashed + row) % 31, 0)


def test_the_bytes_are_the_same_on_every_machine():
    """Scores, probabilities and frequencies to the last bit: a file written elsewhere decodes here."""
    data = context.encode(patterned((40, 16, 3, 3)), 32, (40, 16, 3, 3))
    assert hashlib.sha256(data).hexdigest()[:16] == "95d37efd30372278"


def entropy_bits(density):
    """Return the entropy of bits that are 1 with this probability."""
    inside = numpy.clip(density, 1e-12, 1 - 1e-12)
    return -(inside * numpy.log2(inside) + (1 - inside) * numpy.log2(1 - inside))


def test_rows_that_differ_take_less_than_order_0_by_most_of_what_their_densities_tell():
    shape = (200, 64, 3, 3)
    symbols = patterned(shape)
    mask = symbols.reshape(200, -1) != 0
    told = entropy_bits(mask.mean()) - entropy_bits(mask.mean(axis=1)).mean()
    saved = len(ans.encode(symbols, 32)) - len(context.encode(symbols, 32, shape))
    assert saved >= 0.6 * told * mask.size / 8


def test_nothing_but_zeros_takes_a_byte_and_no_zero_takes_no_mask():
    assert context.encode(numpy.zeros(1000, int), 32, (10, 100)) == b"\0"
    full = patterned((10, 100)) + 1
    full[0] = 1
    assert len(context.encode(full, 33, (10, 100))) <= len(ans.encode(full, 33)) + 2


def test_a_mask_of_another_density_than_was_stored_is_an_error():
    symbols = patterned((40, 30))
    data = bytearray(context.encode(symbols, 32, (40, 30)))
    data[2] ^= 0b1000  # the density stands in bits 2 to 17; this one is worth 1/8192 of all: a tenth of an element
    with pytest.raises(ValueError, match=r"density|damaged|occur"):
        context.decode(bytes(data), 32, (40, 30))


@pytest.mark.parametrize("kind", [0b01, 0b10, 0b11])
def test_an_alphabet_of_zero_alone_has_no_other_mask(kind):
    with pytest.raises(ValueError, match="neither"):
        context.decode(bytes([kind << 6, 0, 0]), 1, (3,))
