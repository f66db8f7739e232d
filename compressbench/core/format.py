"""Formats: how a tensor is to be stored in the file whose length is the size.

A format is a view. Everything else (the codebook, the scales, where the zeros are) is read off the tensor, whose values
must be exactly what the format can say; a tensor that is not is an error when it is written, never rounded.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dense:
    """Every element, in the tensor's own dtype; 8-bit integers go through a coder."""


@dataclass(frozen=True)
class Sparse:
    """Where the non-zeros are, then the non-zeros in row-major order, in the tensor's own dtype."""


@dataclass(frozen=True)
class Codebook:
    """At most 2^bits different values beside zero: one index an element, and the values (Han et al. 2016)."""

    bits: int


@dataclass(frozen=True)
class PowerOfTwo:
    """Zero or a signed power of two, 2^largest at most, 2^(largest + 1 - 2^(bits - 2)) at least (Zhou et al. 2017)."""

    bits: int
    largest: int


@dataclass(frozen=True)
class FixedPoint:
    """An integer of so many bits in two's complement, times 2^-fraction_bits."""

    bits: int
    fraction_bits: int


@dataclass(frozen=True)
class Binary:
    """A sign for each element, times one positive scale for each row (output channel), or one for all."""


@dataclass(frozen=True)
class Product:
    """Runs of `dimension` input channels at one kernel position are code words; each group of channels has its own
    code book, shared by rows and kernel positions (Wu et al. 2016)."""

    dimension: int


@dataclass(frozen=True)
class Hashed:
    """Every element is one of `buckets` values, times a sign; a hash of its place says which (Chen et al. 2015)."""

    buckets: int
    seed: int


Format = Dense | Sparse | Codebook | PowerOfTwo | FixedPoint | Binary | Product | Hashed

FORMATS: dict[str, type[Format]] = {
    kind.__name__: kind for kind in (Dense, Sparse, Codebook, PowerOfTwo, FixedPoint, Binary, Product, Hashed)
}
"""The formats a file may name, by class name."""


@dataclass(frozen=True)
class Coding:
    """Which coders a file may choose from; of each tensor the smallest result is kept.

    coders: names of `codecs.coders.CODERS`. index_bits: bits of a gap in the relative index of Deep Compression; None:
    the best of each tensor.
    """

    coders: tuple[str, ...] = ("fixed", "bitmask")
    index_bits: int | None = None
