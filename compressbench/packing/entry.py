"""One tensor of a packed file: its entry in the header, and its bytes."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import Field, dataclass, fields
from typing import Any

import torch

from compressbench.core.format import Coding, Dense, Format, named
from compressbench.core.format import name_of as name_of_format
from compressbench.packing.arrays import (
    DTYPES,
    from_bytes,
    length_of,
    name_of,
    narrowest,
    to_bytes,
    to_numpy,
    to_torch,
    widened,
)
from compressbench.packing.coders import decoded, encoded, is_coder
from compressbench.packing.container import PackedFileError
from compressbench.packing.levels import Array, Levels, from_levels, to_levels
from compressbench.packing.sizes import symbols_shape


@dataclass(frozen=True)
class Entry:
    """How one tensor is stored. sides: dtype and length of each array that is stored as it is.

    coder: its name, empty where there are no symbols. alphabet: how many symbols there are. coded_bytes: length of the
    coder's result; side_bytes: of the side arrays, which stand before it.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    format: Format
    sides: tuple[tuple[str, int], ...]
    coder: str
    alphabet: int
    coded_bytes: int

    @property
    def format_text(self) -> str:
        """The format as people read it: `Codebook(bits=5)`, `Dense`."""
        return repr(self.format).removesuffix("()")

    @property
    def side_bytes(self) -> int:
        return sum(length_of(dtype, count) for dtype, count in self.sides)

    def row(self) -> list[Any]:
        """Return the entry as the header has it."""
        form = [name_of_format(self.format), *(getattr(self.format, field.name) for field in _fields(self.format))]
        sides = [list(side) for side in self.sides]
        return [self.name, self.dtype, list(self.shape), form, sides, self.coder, self.alphabet, self.coded_bytes]


def _fields(form: Any) -> tuple[Field[Any], ...]:
    return fields(form)


@dataclass(frozen=True, repr=False)
class Absent(Format):
    """A format of a plugin that nobody asked for: its tensor can be listed, but not read."""

    name: str
    numbers: tuple[int, ...]

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.numbers))})"

    def levels(self, tensor: Array) -> Levels:
        raise ValueError(f"{self.name} is not there")

    def tensor(self, levels: Levels, shape: tuple[int, ...]) -> Array:
        raise ValueError(f"{self.name} is not there")

    def symbols_shape(self, shape: tuple[int, ...], lengths: list[int], alphabet: int) -> tuple[int, ...] | None:
        return shape if alphabet else None


def entry_of(row: list[Any], absent: Collection[str] = ()) -> Entry:
    """Return the entry a header's row says. PackedFileError, TypeError or ValueError if it cannot be what we wrote.

    absent: dotted paths of formats that are not there, but may be listed.
    """
    name, dtype, shape, form, sides, coder, alphabet, coded = row
    if not all(type(text) is str for text in [name, dtype, form[0], coder, *(kind for kind, _ in sides)]):
        raise PackedFileError("the entry of a tensor has no words where it should")
    sizes = [alphabet, coded, *shape, *(count for _, count in sides)]
    if not all(type(number) is int for number in [*sizes, *form[1:]]) or min(sizes) < 0:
        raise PackedFileError(f"the entry of {name} has no whole numbers where it should")
    if dtype not in DTYPES or not (coder == "" or is_coder(coder)):
        raise PackedFileError(f"the entry of {name} names a dtype or a coder that does not exist")
    try:
        own = Absent(form[0], tuple(form[1:])) if form[0] in absent else named(form[0])(*form[1:])
    except ValueError as error:
        raise PackedFileError(f"the entry of {name} names a format that does not exist: {error}") from error
    arrays = tuple((kind, count) for kind, count in sides)
    entry = Entry(name, dtype, tuple(shape), own, arrays, coder, alphabet, coded)
    shape_of(entry)
    return entry


def shape_of(entry: Entry) -> tuple[int, ...] | None:
    """Return the shape of its symbols, None if it has none. PackedFileError for sizes that do not fit the tensor."""
    try:
        shape = symbols_shape(entry.format, entry.shape, entry.dtype, entry.sides, entry.alphabet)
    except ValueError as error:
        raise PackedFileError(f"the entry of {entry.name} is wrong: {error}") from error
    if (shape is None) != (not entry.coder) or (shape is None and entry.coded_bytes):
        raise PackedFileError(f"the entry of {entry.name} is wrong: symbols have a coder, and only they")
    return shape


def pack(name: str, tensor: torch.Tensor, form: Format, coding: Coding) -> tuple[Entry, list[bytes]]:
    """Return a tensor's entry and its bytes: side arrays, then what the coder made. ValueError if it does not fit."""
    array = to_numpy(tensor)
    levels = to_levels(array, form)
    sides = [(name_of(tensor), side) if isinstance(form, Dense) else narrowest(side) for side in levels.side]
    coder, coded = _smallest(levels, coding) if levels.symbols is not None else ("", b"")
    lengths = tuple((dtype, len(side)) for dtype, side in sides)
    entry = Entry(name, name_of(tensor), array.shape, form, lengths, coder, levels.alphabet, len(coded))
    return entry, [*(to_bytes(side, dtype) for dtype, side in sides), coded]


def unpack(entry: Entry, part: memoryview) -> torch.Tensor:
    """Return the tensor again. PackedFileError or ValueError if its bytes are not what the entry says."""
    kind = DTYPES[entry.dtype][0]
    array = from_levels(levels_of(entry, part), entry.format, entry.shape, kind)
    assert array.dtype == kind, (entry, array.dtype)
    return to_torch(array, entry.dtype)


def levels_of(entry: Entry, part: memoryview) -> Levels:
    """Return an entry's decoded symbols and its side arrays. PackedFileError or ValueError as `unpack`."""
    side, position = [], 0
    for dtype, count in entry.sides:
        length = length_of(dtype, count)
        side.append(from_bytes(part[position : position + length], dtype))
        position += length
    if not isinstance(entry.format, Dense):
        side = [widened(array, dtype) for array, (dtype, _) in zip(side, entry.sides, strict=True)]
    shape = shape_of(entry)
    if shape is None:
        return Levels(side=side)
    return Levels(_decoded(entry, bytes(part[position:]), shape), entry.alphabet, shape, side)


def _decoded(entry: Entry, content: bytes, shape: tuple[int, ...]) -> Array:
    try:
        symbols = decoded(entry.coder, content, entry.alphabet, shape)
    except Exception:
        raise
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # a library in Rust gives up with one; it is no Exception
            raise
        raise PackedFileError(f"the symbols of {entry.name} cannot be decoded") from error
    if len(symbols) != math.prod(shape) or int(symbols.max(initial=0)) >= entry.alphabet > 0:
        raise PackedFileError(f"the symbols of {entry.name} are not those its entry says")
    return symbols


def _smallest(levels: Levels, coding: Coding) -> tuple[str, bytes]:
    """Return the coder with the smallest result, the first of equal ones."""
    assert levels.symbols is not None
    results = [
        (name, encoded(name, levels.symbols, levels.alphabet, levels.shape, coding.index_bits))
        for name in coding.coders
    ]
    return min(results, key=lambda result: len(result[1]))
