"""Order-0 entropy coding against the entropy."""

import numpy
import pytest

from compressbench.codecs import ans
from compressbench.codecs.bits import BitReader, BitWriter


def entropy_bytes(symbols):
    counts = numpy.bincount(symbols)
    counts = counts[counts > 0]
    return -(counts * numpy.log2(counts / symbols.size)).sum() / 8


def pruned(count, alphabet, seed=0):
    """89 % zeros; the others with frequencies as k-means on a bell curve gives them."""
    rng = numpy.random.default_rng(seed)
    values = numpy.clip(numpy.rint(rng.normal(alphabet / 2, alphabet / 6, count)), 1, alphabet - 1).astype(int)
    return numpy.where(rng.random(count) < 0.11, values, 0)


@pytest.mark.parametrize(("alphabet", "at_most"), [(32, 1.005), (256, 1.02)])
def test_a_network_of_some_hundred_thousand_weights_takes_hardly_more_than_its_entropy(alphabet, at_most):
    symbols = pruned(300_000, alphabet)
    size = len(ans.encode(symbols, alphabet))
    assert entropy_bytes(symbols) <= size <= at_most * entropy_bytes(symbols)


def test_a_small_tensor_pays_little_for_its_table():
    symbols = pruned(500, 32)
    assert len(ans.encode(symbols, 32)) <= entropy_bytes(symbols) + 35


def test_symbols_that_are_all_the_same_take_only_a_table():
    assert len(ans.encode(numpy.full(10000, 3), 32)) <= 3


@pytest.mark.parametrize("counts", [[1], [0, 5], [1, 1000000, 3, 0, 77], [2**31, 1]])
def test_frequencies_come_back_and_none_that_occurs_is_zero(counts):
    counts = numpy.array(counts, numpy.int64)
    writer = BitWriter()
    written = ans.write_frequencies(writer, counts)
    assert ans.read_frequencies(BitReader(writer.to_bytes()), counts.size).tolist() == written.tolist()
    assert ((written > 0) == (counts > 0)).all()


def test_frequencies_are_near_the_counts():
    counts = numpy.random.default_rng(0).integers(1000, 100000, 20)
    written = ans.write_frequencies(BitWriter(), counts)
    assert numpy.allclose(written / written.sum(), counts / counts.sum(), rtol=0.1)


def test_several_models_share_one_stream_in_order(monkeypatch):
    monkeypatch.setattr(ans, "CHUNK", 7)
    encoder = ans.Encoder()
    rng = numpy.random.default_rng(0)
    parts = [
        (rng.integers(0, 2, 50), ans.binary(1 << 18)),
        (rng.integers(0, 3, 20), ans.categorical(numpy.arange(1, 4))),
    ]
    for symbols, model in parts:
        encoder.add(symbols, model)
    encoder.add(numpy.zeros(5, int), None)
    decoder = ans.Decoder(encoder.to_bytes())
    for symbols, model in parts:
        found = numpy.empty(symbols.size, numpy.uint8)
        decoder.take(symbols.size, model, found)
        assert found.tolist() == symbols.tolist()
    decoder.finish()


def test_a_certain_bit_can_still_be_otherwise():
    for numerator in (0, 1 << ans.PROBABILITY_BITS):
        encoder = ans.Encoder()
        encoder.add(numpy.array([0, 1]), ans.binary(numerator))
        found = numpy.empty(2, numpy.uint8)
        ans.Decoder(encoder.to_bytes()).take(2, ans.binary(numerator), found)
        assert found.tolist() == [0, 1]


def test_a_coder_that_is_not_empty_at_the_end_is_an_error():
    data = ans.encode(pruned(1000, 32), 32)
    with pytest.raises(ValueError, match="damaged"):
        ans.decode(data, 32, 999)
    with pytest.raises(ValueError, match="zero byte"):
        ans.decode(data + b"\0", 32, 1000)


def test_the_bytes_are_the_same_on_every_machine():
    """The model and constriction's arithmetic, to the last bit: a file written elsewhere decodes here."""
    assert ans.encode(numpy.array([0, 0, 1, 0, 2, 0, 0, 3, 1, 0]), 4).hex() == "107228c86e54a512"
