"""The outside of a file: what is sealed comes out again, and anything else is refused."""

import zlib

import pytest

from compressbench.packing.container import (
    DICTIONARY,
    FIXED,
    LONGEST_JSON,
    MAGIC,
    PackedFileError,
    _digest,
    seal,
    unseal,
)

HEADER = {"architecture": ["compressbench.zoo.lenet.LeNet5", {"classes": 10}], "tensors": []}


def deflated(text: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15, zdict=DICTIONARY)
    return packer.compress(text) + packer.flush()


def sealed(head: bytes, tail: bytes = deflated(b"{}"), lengths: tuple[int, int] | None = None) -> bytes:
    """Return a file of these parts, as they are, with the checksum right."""
    first, second = lengths or (len(head), len(tail))
    parts = [first.to_bytes(4, "little"), second.to_bytes(4, "little"), head, tail]
    return b"".join([MAGIC, _digest(parts), *parts])


def test_header_note_and_data_come_out_as_they_went_in() -> None:
    content = seal(HEADER, {"seed": 1}, [b"ab", b"", b"cde"])
    found = unseal(content)
    assert (found.header, found.note, bytes(found.data)) == (HEADER, {"seed": 1}, b"abcde")
    assert FIXED + found.header_bytes + found.note_bytes + 5 == len(content)
    assert seal(HEADER, {"seed": 1}, [b"abcde"]) == content


def test_a_usual_header_takes_a_fraction_of_its_text() -> None:
    """The dictionary of the version holds what headers say."""
    assert len(seal(HEADER, {}, [])) - FIXED < 30 < len(str(HEADER))


def test_every_single_bit_that_is_wrong_is_found() -> None:
    content = seal(HEADER, {"seed": 1}, [bytes(range(40))])
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PackedFileError):
            unseal(bytes(damaged))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "does not begin"),
        (b"PK\x03\x04 a pickle of torch's", "does not begin"),
        (MAGIC, "checksum"),
        (sealed(b"", b"", (1, 0)), "longer than the file"),
        (sealed(b"", b"", (2**32 - 1, 2**32 - 1)), "longer than the file"),
        (sealed(b"no deflated bytes"), "cannot be read"),
        (sealed(deflated(b"{}") + b"more"), "cannot be read"),
        (sealed(deflated(b"{}")[:-1]), "cannot be read"),
        (sealed(deflated(b"not JSON")), "cannot be read"),
        (sealed(deflated(b"\xff\xfe")), "cannot be read"),
        (sealed(deflated(b"[1]")), "no JSON object"),
        (sealed(deflated(b"[" * 1_000_000)), "cannot be read"),  # deep
        (sealed(deflated(b'{"a":' + b"9" * 100_000 + b"}")), "cannot be read"),  # a number of 100,000 digits
        (sealed(deflated(b" " * LONGEST_JSON + b"{}")), "cannot be read"),  # 2 KB that unpack to 2 MB
        (sealed(deflated(b"{}"), deflated(b"null")), "no JSON object"),
    ],
)
def test_what_is_no_packed_file_is_refused_with_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(PackedFileError, match=reason):
        unseal(content)


def test_what_would_not_be_read_is_not_written() -> None:
    with pytest.raises(ValueError, match="2,097,152 bytes"):
        seal({"tensors": "x" * LONGEST_JSON}, {}, [])
