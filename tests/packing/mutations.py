"""Damage to packed files, drawn at random from a seed: of the bytes, and of what stands in them."""

from __future__ import annotations

import copy
import json
import random
import zlib
from typing import Any

from compressbench.packing.container import DICTIONARY, FIXED, MAGIC, Content, _digest, seal, unseal

NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 255, 2**31, 2**63, 10**12, -(10**12), 10**30, 0.5, -0.0, 1e300),
    *(float("nan"), float("inf"), "", "x", "__class__", "../../etc/passwd", "cpu", "float32", "float64", "bool"),
    *("Dense", "Sparse", "Codebook", "Hashed", "fixed", "context", "Linear", "Identity", "forward", "x" * 100_000),
    *([], {}, [[]], [0], [-1], [1, 1], ["a"], {"type": "Linear"}, {"device": "cpu"}, [10**9, 10**9]),
)
"""What is put in the place of anything in a header."""


def damaged_bytes(content: bytes, chance: random.Random) -> bytes:
    """Return bytes with one thing wrong: bits, a run overwritten, left out, put in or doubled, an end cut off."""
    start = chance.choice([chance.randrange(len(content)), chance.randrange(min(len(content), 400))])
    length = min(chance.choice([1, 1, 2, 4, 100, 5000]), len(content) - start)
    noise = chance.choice([chance.randbytes(length), bytes(length), b"\xff" * length])
    changed = bytearray(content)
    match chance.randrange(6):
        case 0:
            changed[start] ^= 1 << chance.randrange(8)
        case 1:
            changed[start : start + length] = noise
        case 2:
            del changed[start : start + length]
        case 3:
            changed[start:start] = noise
        case 4:
            changed[start:start] = content[start : start + length]
        case _:
            del changed[start:]
    return bytes(changed)


def with_right_checksum(content: bytes) -> bytes:
    """Return a file whose magic and checksum fit whatever stands behind them."""
    return MAGIC + _digest([memoryview(content[16:])]) + content[16:]


def damaged_data(content: bytes, chance: random.Random) -> bytes:
    """Return a file whose tensors' bytes are damaged, header and checksum right."""
    found = unseal(content)
    start = FIXED + found.header_bytes + found.note_bytes
    return with_right_checksum(content[:start] + damaged_bytes(content[start:], chance))


def damaged_header(content: bytes, chance: random.Random) -> bytes:
    """Return a file whose header is damaged in one to three places, in JSON, and sealed again."""
    found = unseal(content)
    header = copy.deepcopy(found.header)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        places = list(_places(header))
        if places:
            _damage(*chance.choice(places), chance)
    return seal(header, found.note, [bytes(found.data)])


def damaged_note(content: bytes, chance: random.Random) -> bytes:
    """Return a file whose note is damaged in one to three places, or nested very deep, in JSON, and sealed again."""
    found = unseal(content)
    note = {"seed": 0, "stages": {"train": {"technique": "x"}}, "measured": {"top1": 0.9}, **copy.deepcopy(found.note)}
    if chance.random() < 0.2:
        return sealed_with(
            found, nested(chance.choice([60, 70, 500, 990, 5000, 100_000])), chance.choice([True, False])
        )
    for _ in range(chance.choice([1, 2, 3])):
        _damage(*chance.choice(list(_places(note))), chance)
    return seal(found.header, note, [bytes(found.data)])


def nested(depth: int) -> bytes:
    """Return JSON of an object in an object, and so on."""
    return b'{"a":' * depth + b"0" + b"}" * depth


def sealed_with(found: Content, text: bytes, as_header: bool) -> bytes:
    """Return a file with this text as its note, or as its header, sealed."""
    packer = zlib.compressobj(9, wbits=-15, zdict=DICTIONARY)
    packed = packer.compress(text) + packer.flush()
    other = seal(found.header, found.note, [])[FIXED:]
    head, tail = other[: found.header_bytes], other[found.header_bytes :]
    head, tail = (packed, tail) if as_header else (head, packed)
    lengths = b"".join(len(part).to_bytes(4, "little") for part in (head, tail))
    return with_right_checksum(MAGIC + bytes(8) + lengths + head + tail + bytes(found.data))


def _places(tree: Any) -> Any:
    """Yield every container of a tree with every one of its keys."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(pairs):
        yield tree, key
        yield from _places(value)


def _damage(parent: Any, key: Any, chance: random.Random) -> None:
    others = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
    match chance.randrange(7):
        case 0:
            del parent[key]
        case 1:
            other = chance.choice(others)
            parent[key], parent[other] = parent[other], parent[key]
        case 2 if isinstance(parent, dict):
            parent[chance.choice(["", "__class__", "fc1", "fc9", "bias", "device"])] = parent.pop(key)
        case 2:
            parent.insert(key, copy.deepcopy(parent[key]))
        case 3 if type(parent[key]) is int:
            parent[key] += chance.choice([-1, 1, 1000, 10**9])
        case 4:
            parent[key] = json.loads("[" * 200 + "]" * 200)
        case _:
            parent[key] = copy.deepcopy(chance.choice(NASTY))
