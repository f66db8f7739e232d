"""One file for one network: what it takes to build it, and every tensor in its declared format, entropy-coded.

The file decodes on its own, without pickle, and its length is the size that is reported. Every tensor is turned into
integers by its format (`levels`) and coded by the coder whose result is the smallest of those that the subject's
`coding` allows. Every read checks what the header says against the network it names before anything is decoded.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.atomic import write_atomically
from compressbench.core.dotted import dotted_path
from compressbench.core.format import Coding, Dense, Format
from compressbench.core.plugins import use
from compressbench.core.subject import Subject
from compressbench.layers.int8 import keep_unfused
from compressbench.packing.arrays import name_of
from compressbench.packing.coders import is_coder, known
from compressbench.packing.container import Content, seal, unseal
from compressbench.packing.container import PackedFileError as PackedFileError
from compressbench.packing.entry import Absent, Entry, entry_of, levels_of, pack, unpack
from compressbench.packing.levels import Levels
from compressbench.packing.modules import changed_modules, changed_network, fresh_network
from compressbench.packing.needs import check_needs, missing, needs_of
from compressbench.packing.refusing import refusing
from compressbench.packing.state import fill, stored, wanted

FREE_ELEMENTS, ELEMENTS_A_BYTE = 1 << 22, 256
"""How many elements a file may hold at most: so many, and so many more for each of its bytes.

A few bytes can say that a tensor of any size is all zeros; reading takes memory and time for each. A network that was
compressed a thousand times has 250 elements a byte.
"""


def write(subject: Subject, path: Path, note: dict[str, Any] | None = None) -> int:
    """Write the subject's network to `path`, atomically, and return the file's length in bytes.

    note: JSON-able, kept beside the network: where it comes from and what was measured.
    Raises ValueError if a tensor cannot be stored in its declared format without loss, or a module not at all.
    """
    content = sealed(subject, note)
    write_atomically(path, content)
    return len(content)


def sealed(subject: Subject, note: dict[str, Any] | None = None) -> bytes:
    """Return what `write` writes. Raises ValueError likewise."""
    use(subject.architecture.target)  # whoever has the network has asked for it
    fresh = fresh_network(subject.architecture)
    rows, data, (state, tied) = [], [], stored(subject.model, fresh)
    if unknown := subject.formats.keys() - state.keys() - tied.keys():
        raise ValueError(f"{min(unknown)} has a format, but the network has no such tensor")
    formats = {tied.get(name, name): form for name, form in subject.formats.items()}
    for name, tensor in sorted(state.items()):
        form = formats.get(name, Dense())
        try:
            entry, parts = pack(name, tensor, form, subject.coding)
        except ValueError as error:
            raise ValueError(f"{name} cannot be stored as {type(form).__name__}: {error}") from error
        rows.append(entry.row())
        data += parts
    changed = changed_modules(subject.model, fresh)
    kinds = [description["type"] for description in changed.values()]
    forms = [dotted_path(type(form)) for form in subject.formats.values()]
    needs = needs_of([subject.architecture.target, *kinds, *forms, *subject.coding.coders])
    for need in needs:
        use(need.module)
    header = {
        "architecture": [subject.architecture.target, subject.architecture.arguments],
        "modules": changed,
        **({"plugins": needs} if needs else {}),
        "coding": asdict(subject.coding),
        "tensors": rows,
    }
    content = seal(header, note or {}, data)
    _opened(unseal(content))  # what would be refused when it is read is never written
    return content


def read(path: Path) -> Subject:
    """Return the subject a file holds, in evaluation mode, bit for bit the weights that are measured.

    Constraints are not part of the file. Raises PackedFileError for anything that is no such file, and for one that
    needs a plugin which nobody asked for (see `core.plugins`).
    """
    with refusing(path):
        content = content_of(path)
        architecture, model, found = _opened(content)
        tensors = {entry.name: unpack(entry, part) for entry, part in _parts(found, content)}
        tied = fill(model, tensors)
        keep_unfused(model)
        formats: dict[str, Format] = {each.name: each.format for each in found if not isinstance(each.format, Dense)}
        formats |= {name: formats[other] for name, other in tied.items() if other in formats}
        return Subject(model.eval(), architecture, formats, coding=_coding(content))


def note(path: Path) -> dict[str, Any]:
    """Return what stands beside the network. Raises PackedFileError."""
    return content_of(path).note


def network_digest(path: Path) -> str:
    """Return hexadecimal digits of what a file holds but its note. Raises PackedFileError."""
    content = content_of(path)
    found = hashlib.sha256(json.dumps(content.header, sort_keys=True).encode())
    found.update(content.data)
    return found.hexdigest()


def content_of(path: Path) -> Content:
    """Return a file's header, note and bytes, nothing decoded yet.

    Raises PackedFileError if it is none of ours or its checksum is wrong.
    """
    with refusing(path):
        if path.exists() and not path.is_file():  # a folder, or a device that never ends
            raise PackedFileError("it is no file")
        return unseal(path.read_bytes())


def architecture_of(path: Path) -> Architecture:
    """Return how a file's network was built before any technique changed it. Raises PackedFileError.

    Only that is said of a file whose plugins nobody asked for: its network is not built.
    """
    content = content_of(path)
    with refusing(path):
        return _architecture(content) if missing(content.header) else _opened(content)[0]


def entries(path: Path) -> Iterator[tuple[Entry, Levels]]:
    """Yield every tensor's entry, with its symbols decoded, in the order of the file. Raises PackedFileError.

    They are held against the network unless it needs a plugin that nobody asked for; what is in a format of one, or
    what the coder of one wrote, stays undecoded.
    """
    content = content_of(path)
    with refusing(path):
        absent = {dotted for need in missing(content.header) for dotted in need.dotted}
        found = _entries(content, absent) if absent else _opened(content)[2]
    for entry, part in _parts(found, content):
        with refusing(path):
            there = known(entry.coder) and not isinstance(entry.format, Absent)
            levels = levels_of(entry, part) if there else Levels()
        yield entry, levels


def rewrite_note(path: Path, note: dict[str, Any]) -> int:
    """Replace a file's note, atomically, and return the file's new length. The network's bytes stay."""
    content = content_of(path)
    again = seal(content.header, note, [bytes(content.data)])
    write_atomically(path, again)
    return len(again)


def _opened(content: Content) -> tuple[Architecture, nn.Module, list[Entry]]:
    """Return the network a file names, without its weights, and the entries of its tensors, which fit it."""
    check_needs(content.header)
    found, architecture = _entries(content), _architecture(content)
    shapes = {entry.name: entry.shape for entry in found}
    model = changed_network(architecture, content.header["modules"], shapes)
    _compare(found, model)
    return architecture, model, found


def _architecture(content: Content) -> Architecture:
    target, arguments = content.header["architecture"]
    if type(target) is not str or type(arguments) is not dict:
        raise PackedFileError("it does not say how its network is built")
    return Architecture(target, arguments)


def _entries(content: Content, absent: Collection[str] = ()) -> list[Entry]:
    """Return the entries of its tensors, which are as long as its data."""
    _coding(content)
    found = [entry_of(row, absent) for row in content.header["tensors"]]
    if sum(entry.side_bytes + entry.coded_bytes for entry in found) != len(content.data):
        raise PackedFileError("its tensors take another number of bytes than there are")
    if sum(math.prod(entry.shape) for entry in found) > FREE_ELEMENTS + ELEMENTS_A_BYTE * len(content.data):
        raise PackedFileError("it has more elements than so few bytes may hold")
    return found


def _compare(found: list[Entry], model: nn.Module) -> None:
    """Raise PackedFileError unless the entries are the network's tensors, in name, shape and dtype."""
    there = {entry.name: (entry.dtype, entry.shape) for entry in found}
    needed = {name: (name_of(tensor), tuple(tensor.shape)) for name, tensor in wanted(model, set(there)).items()}
    if needed != there or len(there) != len(found):
        wrong = sorted(set(needed.items()) ^ set(there.items()))
        raise PackedFileError(f"its tensors are not those of its network: {wrong[:3]}")


def _coding(content: Content) -> Coding:
    """Return which coders the network's next file may choose from."""
    coders, index_bits = content.header["coding"]["coders"], content.header["coding"]["index_bits"]
    right = type(coders) is list and coders and all(map(is_coder, coders))
    if not right or not (index_bits is None or (type(index_bits) is int and 1 <= index_bits <= 32)):
        raise PackedFileError("it names a coder that does not exist")
    return Coding(tuple(coders), index_bits)


def _parts(found: list[Entry], content: Content) -> Iterator[tuple[Entry, memoryview]]:
    position = 0
    for entry in found:
        length = entry.side_bytes + entry.coded_bytes
        yield entry, content.data[position : position + length]
        position += length
