"""Bit packing against strings of bits written by hand."""

import numpy
import pytest

from compressbench.codecs import bits


def test_three_bit_symbols_stand_one_after_the_other_from_the_highest_bit():
    packed = bits.pack_fixed(numpy.array([5, 1, 7]), 3)  # 101 001 111, then seven zeros
    assert packed == bytes([0b10100111, 0b10000000])
    assert bits.unpack_fixed(packed, 3, 3, 8).tolist() == [5, 1, 7]


@pytest.mark.parametrize(("alphabet", "width"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (65536, 16)])
def test_a_symbol_takes_the_logarithm_of_the_alphabet_rounded_up(alphabet, width):
    assert bits.width_of(alphabet) == width


def test_fixed_width_goes_over_chunks(monkeypatch):
    monkeypatch.setattr(bits, "CHUNK", 8)
    symbols = numpy.random.default_rng(0).integers(0, 32, 100)
    packed = bits.pack_fixed(symbols, 5)
    assert len(packed) == 63
    assert bits.unpack_fixed(packed, 5, 100, 32).tolist() == symbols.tolist()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xa7", "do not take"),
        (b"\xa7\x80\x00", "do not take"),
        (b"\xa7\x81", "after the last"),
        (b"\xff\xff", "bits"),
    ],
)
def test_other_bytes_than_were_packed_are_errors(data, why):
    with pytest.raises(ValueError, match=why):
        bits.unpack_fixed(data, 3, 3, 8)


def test_a_symbol_out_of_the_alphabet_is_an_error():
    with pytest.raises(ValueError, match="symbol 7 in an alphabet of 6"):
        bits.unpack_fixed(bytes([0b10100111, 0b10000000]), 3, 3, 6)


def test_codes_of_different_lengths_stand_one_after_the_other(monkeypatch):
    codes, lengths = numpy.array([0b0, 0b10, 0b11], numpy.uint64), numpy.array([1, 2, 2], numpy.uint8)
    expected = bytes([0b01011010, 0b11000000])  # 0 10 11 0 10 11
    for chunk in (1, 2, 100):
        monkeypatch.setattr(bits, "CHUNK", chunk)
        assert bits.pack_codes(codes, lengths, numpy.array([0, 1, 2, 0, 1, 2])) == expected


def test_exponential_golomb_codes_are_those_of_the_textbook():
    writer = bits.BitWriter()
    writer.write_golomb([0, 1, 2, 3], 0)  # 1 010 011 00100
    assert writer.to_bytes() == bytes([0b10100110, 0b01000000])
    reader = bits.BitReader(writer.to_bytes())
    assert [reader.read_golomb(0) for _ in range(4)] == [0, 1, 2, 3]
    assert reader.rest() == b""
    assert bits.golomb_bits(numpy.arange(4), 0) == 12


@pytest.mark.parametrize("order", [0, 3, 12])
def test_golomb_codes_take_as_many_bits_as_foretold(order):
    values = numpy.random.default_rng(0).integers(0, 1 << 20, 50)
    writer = bits.BitWriter()
    writer.write_golomb(values.tolist(), order)
    assert len(writer.to_bytes()) == (bits.golomb_bits(values, order) + 7) // 8
    reader = bits.BitReader(writer.to_bytes())
    assert [reader.read_golomb(order) for _ in values] == values.tolist()


def test_a_header_without_an_end_is_an_error():
    with pytest.raises(ValueError, match="no end"):
        bits.BitReader(bytes(100)).read_golomb(0)
    with pytest.raises(ValueError, match="ends within"):
        bits.BitReader(b"\x00").read_golomb(0)
    reader = bits.BitReader(b"\x01")
    reader.read(4)
    with pytest.raises(ValueError, match="after the end"):
        reader.rest()
