"""The outside of a packed file: a checked sequence of bytes with a JSON header, and nothing that could be run.

8 bytes   magic
8 bytes   BLAKE2b of all that follows
4 bytes   length of the header, little-endian
4 bytes   length of the note, little-endian
header    JSON, deflated with a dictionary: what it takes to build the network
note      JSON, deflated likewise: where the network comes from, and its measured figures
data      the tensors' bytes, one after the other
"""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import Any, NamedTuple

MAGIC = b"\x89CBP01\r\n"
FIXED = len(MAGIC) + 16
LONGEST_JSON = 1 << 21
"""Bytes of JSON that are written and read; a network of a thousand layers needs a tenth of it."""
DEEPEST_JSON = 64
"""Levels of containers that are read: whoever goes through a header or a note may do so recursively."""


class PackedFileError(ValueError):
    """A file that holds no network of ours, or a damaged one."""


class Content(NamedTuple):
    """What a file holds. header, note: JSON-able. data: bytes of the tensors. *_bytes: what the file takes for it."""

    header: dict[str, Any]
    note: dict[str, Any]
    data: memoryview
    header_bytes: int
    note_bytes: int


def seal(header: dict[str, Any], note: dict[str, Any], data: list[bytes]) -> bytes:
    """Return the bytes of a file. Equal content gives equal bytes. ValueError if a JSON part is too long."""
    head, tail = _deflate(header), _deflate(note)
    parts = [len(head).to_bytes(4, "little"), len(tail).to_bytes(4, "little"), head, tail, *data]
    return b"".join([MAGIC, _digest(parts), *parts])


def unseal(content: bytes) -> Content:
    """Return what the bytes of a file hold. PackedFileError if they are no packed file, or damaged."""
    if not content.startswith(MAGIC):
        raise PackedFileError("it does not begin like a packed file of this version")
    view = memoryview(content)
    if len(content) < FIXED or content[8:16] != _digest([view[16:]]):
        raise PackedFileError("its checksum is wrong: it is damaged or cut short")
    head, tail = (int.from_bytes(content[start : start + 4], "little") for start in (16, 20))
    if FIXED + head + tail > len(content):
        raise PackedFileError("its header is longer than the file")
    return Content(
        _inflate(view[FIXED : FIXED + head]),
        _inflate(view[FIXED + head : FIXED + head + tail]),
        view[FIXED + head + tail :],
        head,
        tail,
    )


def _digest(parts: list[bytes] | list[memoryview]) -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _deflate(tree: dict[str, Any]) -> bytes:
    text = json.dumps(tree, separators=(",", ":")).encode()
    if len(text) > LONGEST_JSON:
        raise ValueError(f"what is to be written beside the tensors takes {len(text):,} of {LONGEST_JSON:,} bytes")
    packer = zlib.compressobj(9, wbits=-15, zdict=DICTIONARY)
    return packer.compress(text) + packer.flush()


def _inflate(packed: memoryview) -> dict[str, Any]:
    try:
        unpacker = zlib.decompressobj(wbits=-15, zdict=DICTIONARY)
        text = unpacker.decompress(packed, LONGEST_JSON)
        if not unpacker.eof or unpacker.unused_data:
            raise ValueError("it does not end where it should")
        tree = json.loads(text)
        if _depth(tree) > DEEPEST_JSON:
            raise ValueError(f"it is nested more than {DEEPEST_JSON} deep")
    except (zlib.error, ValueError, RecursionError) as error:
        raise PackedFileError(f"its header cannot be read: {error}") from error
    if not isinstance(tree, dict):
        raise PackedFileError("its header is no JSON object")
    return tree


def _depth(tree: Any) -> int:
    """Return how many levels of containers a tree has, without recursion."""
    depth, level = 0, [tree]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    return depth


DICTIONARY = (
    b'{"technique":"pruning/magnitude","sharing/kmeans","sharing/retrain_centroids","coding/entropy","coding/huffman",'
    b'"quantization/inq","tuning/finetune","tuning/from_scratch","layers":["conv","linear"],"keep":[],"ratios":{},'
    b'"ratio":,"scope":"per_layer","rounds":1,"retrain":null,"epochs":,"batch_size":128,"lr":0.01,"optimizer":"sgd",'
    b'"schedule":"one_cycle","weight_decay":0.0005,"momentum":0.9,"nesterov":true,"milestones":[0.5,0.75],"gamma":0.1,'
    b'"precision":"auto","select":"last","loss":"cross_entropy"},"stages":{"train":{"prune":{"finetune":{"share":{'
    b'"code":{'
    b'"model":{"name":"dataset":{"name":"cifar10","mnist","root":null,"download":false,"validation_images":5000,'
    b'"crop_padding":0,"flip":false,"seed":0,"measured":{"top1":0.9,"top5":,"loss":0.0,"params":,"params_nonzero":,'
    b'"params_without_bn":,"params_without_bn_nonzero":,"macs":,"macs_nonzero":,"flops_survey":,'
    b'{"architecture":["compressbench.zoo.alexnet.AlexNet","compressbench.zoo.lenet.LeNet5",'
    b'{"in_channels":3,"classes":10,'
    b'"image_size":28,"batch_norm":true,"dropout":0.5,"conv_bias":true,"hidden":[512,512]}],"modules":{},'
    b'"coding":{"coders":["fixed","bitmask","relative_huffman","huffman","context","ans"],'
    b'"index_bits":null},"tensors":['
    b'["bn1.num_batches_tracked","int64",[],"Dense",{},[["int64",1]]],["bn1.running_mean","float32",["bn1.running_var",'
    b'["conv1.bias","float32",[64],"Dense",{},[["float32",64]]],["conv1.weight","float32",[64,3,11,11],"Codebook",'
    b'{"bits":5},[["float32",32]],"context",33,["fc1.bias","float32",["fc1.weight","float32",[512,256],"Sparse"'
)
"""Text that headers are likely to hold, the likeliest last. Part of the version: changing it makes files unreadable."""
