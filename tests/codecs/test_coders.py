"""Every coder: what goes in comes out, and damaged bytes are a ValueError in bounded time."""

import time
import warnings

import numpy
import pytest

from compressbench.codecs.coders import CODERS

SHAPES = [
    (0,),
    (1,),
    (),
    (5,),
    (0, 3),
    (4, 7),
    (1, 90),
    (90, 1),
    (20, 3, 5, 5),
    (12, 1, 3, 3),
    (30, 70),
    (3, 4, 5),
    (2, 3, 4, 2, 2),
]
ALPHABETS = [1, 2, 3, 32, 256, 257, 65536]
KINDS = ("pruned", "dense", "zero", "last")


def drawn(kind, alphabet, shape, seed=0):
    rng = numpy.random.default_rng(seed)
    count = int(numpy.prod(shape))
    values = rng.integers(0, alphabet, count)
    if kind == "pruned":
        values[rng.random(count) < 0.89] = 0
    elif kind == "dense":
        values = numpy.maximum(values, min(1, alphabet - 1))
    elif kind == "zero":
        values[:] = 0
    elif kind == "last":
        values[:] = alphabet - 1
    return values


@pytest.mark.parametrize("name", CODERS)
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_symbols_come_back_of_every_shape_and_kind(name, alphabet):
    for shape in SHAPES if alphabet < 65536 else SHAPES[::3]:
        for kind in KINDS:
            symbols = drawn(kind, alphabet, shape)
            data = CODERS[name].encode(symbols, alphabet, shape, None)
            found = CODERS[name].decode(data, alphabet, shape)
            assert found.dtype == (numpy.uint8 if alphabet <= 256 else numpy.uint16)
            assert found.tolist() == symbols.tolist(), (shape, kind)


@pytest.mark.parametrize("dtype", [numpy.uint8, numpy.int16, numpy.int32, numpy.uint64])
@pytest.mark.parametrize("name", CODERS)
def test_any_integer_type_gives_the_same_bytes(name, dtype):
    symbols = drawn("pruned", 32, (30, 20))
    expected = CODERS[name].encode(symbols, 32, (30, 20), None)
    assert CODERS[name].encode(symbols.astype(dtype), 32, (30, 20), None) == expected


def test_sizes_of_the_plain_coders_are_as_counted():
    symbols = numpy.zeros(100, int)
    symbols[:11] = 7
    assert len(CODERS["fixed"].encode(symbols, 32, (100,), None)) == 63  # 500 bits
    assert len(CODERS["bitmask"].encode(symbols, 32, (100,), None)) == 13 + 7  # 100 bits, 11 x 5 bits
    assert len(CODERS["bitmask"].encode(symbols, 17, (100,), None)) == 13 + 6  # 16 non-zero symbols: 4 bits


@pytest.mark.parametrize("shape", [(10,), (50, 10), (5, 5, 3, 3), (1000,), (3, 50, 7)])
def test_context_costs_a_few_bytes_more_than_order_0_where_it_learns_nothing(shape):
    symbols = drawn("pruned", 32, shape)
    assert (
        len(CODERS["context"].encode(symbols, 32, shape, None))
        <= len(CODERS["ans"].encode(symbols, 32, shape, None)) + 8
    )


@pytest.mark.parametrize("name", CODERS)
def test_what_no_tensor_can_be_is_an_error(name):
    coder = CODERS[name]
    with pytest.raises(ValueError, match=r"0 \.\. 32 are not within 0 \.\. 31"):
        coder.encode(numpy.array([0, 32]), 32, (2,), None)
    with pytest.raises(ValueError, match="for a tensor of shape"):
        coder.encode(numpy.array([0, 1]), 32, (3,), None)
    with pytest.raises(ValueError, match="alphabet: 65537"):
        coder.encode(numpy.array([0, 1]), 65537, (2,), None)
    with pytest.raises(ValueError, match="empty tensor"):
        coder.decode(b"\0", 32, (0, 3))


def decoded_or_refused(name, data, alphabet, shape):
    """Return whether bytes were refused; anything but symbols in range or a ValueError fails the test."""
    start = time.process_time()
    try:
        found = CODERS[name].decode(data, alphabet, shape)
    except ValueError:
        return True
    finally:
        assert time.process_time() - start < 2
    assert found.size == numpy.prod(shape)
    assert found.size == 0 or found.max() < alphabet
    return False


@pytest.mark.parametrize("shape", [(12, 20), (4, 3, 3, 3)])
@pytest.mark.parametrize("name", CODERS)
def test_every_truncation_and_every_longer_file_is_refused(name, shape):
    data = CODERS[name].encode(drawn("pruned", 32, shape), 32, shape, None)
    for length in range(len(data)):
        assert decoded_or_refused(name, data[:length], 32, shape), length
    for more in (b"\0", b"\1", b"\0\0\0\0", b"\xff" * 9):
        assert decoded_or_refused(name, data + more, 32, shape)


@pytest.mark.parametrize("alphabet", [2, 31, 300])
@pytest.mark.parametrize("name", CODERS)
def test_mutations_are_refused_or_decode_to_symbols_in_range(name, alphabet):
    rng = numpy.random.default_rng(0)
    shape = (12, 20)
    data = CODERS[name].encode(drawn("pruned", alphabet, shape), alphabet, shape, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(150):
            damaged = bytearray(data)
            for place in rng.integers(0, min(len(data), rng.choice([6, len(data)])), rng.integers(1, 4)):
                damaged[place] = rng.integers(0, 256)
            decoded_or_refused(name, bytes(damaged), alphabet, shape)
        for _ in range(100):
            decoded_or_refused(name, rng.bytes(rng.integers(0, 60)), alphabet, shape)


@pytest.mark.parametrize("name", ["ans", "context"])
def test_a_damaged_entropy_code_is_nearly_always_noticed(name):
    rng = numpy.random.default_rng(1)
    symbols = drawn("pruned", 32, (30, 40))
    data = CODERS[name].encode(symbols, 32, (30, 40), None)
    refused = 0
    for _ in range(50):
        damaged = bytearray(data)
        damaged[rng.integers(len(data) // 2, len(data))] ^= 1 << rng.integers(8)
        refused += decoded_or_refused(name, bytes(damaged), 32, (30, 40))
    assert refused >= 49
