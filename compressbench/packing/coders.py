"""The coders a file may name: ours by their names, those of plugins by their dotted paths."""

from __future__ import annotations

import inspect
from typing import Any, Protocol

import numpy as np

from compressbench.codecs.bits import dtype_of
from compressbench.codecs.coders import CODERS
from compressbench.core.dotted import locate
from compressbench.core.plugins import in_use, use
from compressbench.packing.levels import Array


class Coder(Protocol):
    """Writes the integers of one tensor as bytes and back; a plugin's is a class that is made without arguments.

    Symbols are flat, of any unsigned type, 0 .. alphabet - 1, in row-major order; where a tensor was pruned, 0 is the
    zero. What `decode` is given may be hostile: it raises ValueError, and takes time and memory in proportion to the
    tensor only. What else it returns than symbols of this alphabet and shape is refused.
    """

    def encode(self, symbols: Array, alphabet: int, shape: tuple[int, ...], index_bits: int | None = None) -> bytes: ...

    def decode(self, data: bytes, alphabet: int, shape: tuple[int, ...]) -> Array: ...


def is_coder(name: Any) -> bool:
    """Return whether a file may say this name: one of ours, or a dotted path, which is looked up when it is needed."""
    return type(name) is str and (name in CODERS or (len(name) <= 200 and "." in name))


def coder_of(name: str) -> Coder:
    """Return the coder of this name. ValueError if it may not be named (`core.dotted.locate`), or is none."""
    if name in CODERS:
        return CODERS[name]
    found = locate(name, below="compressbench.codecs.")
    methods = [getattr(found, each, None) for each in ("encode", "decode")] if inspect.isclass(found) else [None]
    if not all(map(inspect.isfunction, methods)) or name.startswith("compressbench."):
        raise ValueError(f"{name!r} is no coder; a class with the methods `encode` and `decode` is needed")
    made: Coder = found()
    return made


def known(name: str) -> bool:
    """Return whether a coder is ours or in a plugin that was asked for."""
    return name in ("", *CODERS) or any(plugin.holds(name) for plugin in in_use())


def encoded(name: str, symbols: Array, alphabet: int, shape: tuple[int, ...], index_bits: int | None) -> bytes:
    """Return what a coder makes of symbols. ValueError if one of a plugin does not give them back."""
    if name in CODERS:
        return CODERS[name].encode(symbols, alphabet, shape, index_bits)
    use(name)  # whoever has it among the subject's coders has asked for it
    data = coder_of(name).encode(symbols, alphabet, shape, index_bits)
    if type(data) is not bytes or not np.array_equal(decoded(name, data, alphabet, shape), symbols):
        raise ValueError(f"the coder {name} does not give back what it was given")
    return data


def decoded(name: str, data: bytes, alphabet: int, shape: tuple[int, ...]) -> Array:
    """Return the symbols that a coder wrote. ValueError, or what a plugin's raises, for what it cannot have written."""
    symbols: Array = coder_of(name).decode(data, alphabet, shape)
    if name in CODERS:
        return symbols
    found = np.asarray(symbols)
    right = found.dtype.kind in "ui" and found.ndim == 1
    if not right or int(found.min(initial=0)) < 0 or int(found.max(initial=0)) >= max(alphabet, 1):
        raise ValueError(f"the coder {name} gives no symbols of 0 .. {alphabet - 1}")
    return found.astype(dtype_of(alphabet))
