"""Canonical Huffman codes against examples by hand."""

import numpy
import pytest

from compressbench.codecs import huffman
from compressbench.codecs.bits import BitReader, BitWriter


def test_the_textbook_code_has_the_textbook_lengths():
    """Counts 45, 13, 12, 16, 9, 5 (Cormen et al., section 16.3): 1, 3, 3, 3, 4, 4 bits, 224 in all."""
    counts = numpy.array([45, 13, 12, 16, 9, 5])
    lengths = huffman.code_lengths(counts)
    assert lengths.tolist() == [1, 3, 3, 3, 4, 4]
    assert (lengths * counts).sum() == 224


def test_canonical_codes_count_up_within_a_length_and_double_between_lengths():
    code = huffman.canonical(numpy.array([2, 1, 3, 3], numpy.uint8))
    assert [f"{c:0{n}b}" for c, n in zip(code.codes.tolist(), code.lengths.tolist(), strict=True)] == [
        "10",
        "0",
        "110",
        "111",
    ]


def test_the_bytes_are_the_codes_one_after_the_other():
    lengths = numpy.array([2, 1, 3, 3], numpy.uint8)
    data = huffman.encode(numpy.array([1, 0, 2, 3, 1]), lengths)  # 0 10 110 111 0
    assert data == bytes([0b01011011, 0b10000000])
    symbols, used = huffman.decode(data + b"more", lengths, 5)
    assert (symbols.tolist(), used) == ([1, 0, 2, 3, 1], 2)


def test_a_code_takes_less_than_a_bit_more_than_the_entropy():
    symbols = numpy.random.default_rng(0).geometric(0.3, 5000)
    counts = numpy.bincount(symbols)
    shares = counts[counts > 0] / symbols.size
    entropy = -(shares * numpy.log2(shares)).sum()
    assert entropy <= (huffman.code_lengths(counts) * counts).sum() / symbols.size < entropy + 1


@pytest.mark.parametrize("chunk", [3, 1 << 16])
def test_symbols_come_back_over_chunks(monkeypatch, chunk):
    monkeypatch.setattr(huffman, "CHUNK", chunk)
    symbols = numpy.random.default_rng(0).geometric(0.05, 3000)
    lengths = huffman.code_lengths(numpy.bincount(symbols))
    found, used = huffman.decode(huffman.encode(symbols, lengths), lengths, 3000)
    assert found.tolist() == symbols.tolist()
    assert used == len(huffman.encode(symbols, lengths))


def test_codes_are_kept_short_where_the_counts_would_make_them_long():
    fibonacci = [1, 1]
    while len(fibonacci) < 40:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])  # a code of 39 bits
    lengths = huffman.code_lengths(numpy.array(fibonacci))
    assert lengths.max() <= huffman.LONGEST
    symbols = numpy.arange(40).repeat(3)
    assert huffman.decode(huffman.encode(symbols, lengths), lengths, 120)[0].tolist() == symbols.tolist()


@pytest.mark.parametrize("lengths", [[1, 1, 1], [1, 2], [2, 2, 2], [20, 20]])
def test_lengths_of_no_code_are_an_error(lengths):
    writer = BitWriter()
    huffman.write_code(writer, numpy.array(lengths, numpy.uint8))
    with pytest.raises(ValueError, match="no Huffman code"):
        huffman.read_code(BitReader(writer.to_bytes()), len(lengths))


def test_one_symbol_takes_no_bits():
    lengths = huffman.code_lengths(numpy.array([0, 7, 0]))
    assert huffman.encode(numpy.ones(7, int), lengths) == b""
    assert huffman.decode(b"", lengths, 7)[0].tolist() == [1] * 7


def test_too_little_data_is_an_error():
    lengths = numpy.array([2, 1, 3, 3], numpy.uint8)
    with pytest.raises(ValueError, match=r"do not fit|ends within"):
        huffman.decode(bytes([0b11111111]), lengths, 9)
    with pytest.raises(ValueError, match="ends within"):
        huffman.decode(bytes([0b11111111]), lengths, 3)
    with pytest.raises(ValueError, match="after the last"):
        huffman.decode(bytes([0b00000001]), lengths, 3)
