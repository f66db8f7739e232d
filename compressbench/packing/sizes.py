"""How many symbols and side values each format has for a tensor: what is checked before anything is decoded."""

from __future__ import annotations

import math

from compressbench.core.format import (
    Binary,
    Codebook,
    Dense,
    FixedPoint,
    Format,
    PowerOfTwo,
    Product,
    Sparse,
)
from compressbench.packing.symbols import MOST_VALUES, check_sizes, power_alphabet

Shape = tuple[int, ...]

INTEGERS = ("int8", "uint8")
"""Dtypes that go through a coder even when they are dense."""
FLOATS = ("bfloat16", "float16", "float32")
"""Dtypes of code books, scales and non-zeros; they are float32 again when they are read."""
WHOLE = ("uint8", "int16", "int32")
"""Dtypes of lengths."""


def symbols_shape(
    form: Format, shape: Shape, dtype: str, sides: tuple[tuple[str, int], ...], alphabet: int
) -> Shape | None:
    """Return the shape of the symbols a tensor of this format, shape and dtype has, None if it has none.

    sides: dtype and length of each array stored as it is. alphabet: number of symbols. ValueError if they cannot be
    right.
    """
    count, kinds, lengths = math.prod(shape), [kind for kind, _ in sides], [length for _, length in sides]
    if isinstance(form, Dense):
        if dtype in INTEGERS:
            check_sizes(not sides and alphabet == 256, "8-bit integers have 256 symbols and no side information")
            return shape
        check_sizes(sides == ((dtype, count),) and not alphabet, f"a dense tensor has its {count} elements alone")
        return None
    check_sizes(dtype == "float32", f"only float32 has the format {type(form).__name__}")
    whole = 1 if isinstance(form, Product) else 0
    right = all(kind in WHOLE for kind in kinds[:whole]) and all(kind in FLOATS for kind in kinds[whole:])
    check_sizes(right, "what stands beside the symbols is of another dtype")
    if isinstance(form, PowerOfTwo | FixedPoint):
        _check_rule(form, lengths, alphabet)
        return shape
    if isinstance(form, Product):
        return _code_words(form, shape, lengths, alphabet)
    if isinstance(form, Sparse):
        check_sizes(len(lengths) == 1 and lengths[0] <= count and alphabet == 2, "there are a mask and its non-zeros")
        return shape
    if isinstance(form, Codebook):
        check_sizes(0 <= form.bits <= 15, "a code book has 0 to 15 bits")
        check_sizes(len(lengths) == 1 and lengths[0] <= 2**form.bits, "a code book has 2^bits values at most")
        check_sizes(alphabet - lengths[0] in (0, 1) and alphabet > 0, "there is a symbol for each value, one for zero")
        return shape
    if isinstance(form, Binary):
        rows = shape[0] if shape else 1
        check_sizes(len(lengths) == 1 and lengths[0] in (1, rows) and alphabet == 2, "there is a scale, or one a row")
        return shape
    check_sizes(form.buckets >= 1 and lengths == [form.buckets] and not alphabet, "hashed weights are their buckets")
    return None


def _check_rule(form: PowerOfTwo | FixedPoint, lengths: list[int], alphabet: int) -> None:
    """Formats whose values follow from a rule have nothing beside their symbols."""
    if isinstance(form, PowerOfTwo):
        check_sizes(2 <= form.bits <= 9 and abs(form.largest) <= 126, "powers of two have 2 to 9 bits")
        check_sizes(not lengths and alphabet == power_alphabet(form), "powers of two have one symbol for each")
    else:
        check_sizes(1 <= form.bits <= 16 and abs(form.fraction_bits) <= 100, "fixed-point numbers have 1 to 16 bits")
        check_sizes(not lengths and alphabet == 2**form.bits, "fixed-point numbers have 2^bits symbols")


def _code_words(form: Product, shape: Shape, lengths: list[int], alphabet: int) -> Shape:
    check_sizes(len(shape) in (2, 4) and form.dimension >= 1, "product quantization is for matrices and kernels")
    check_sizes(math.prod(shape) > 0 and shape[1] % form.dimension == 0, "the dimension divides the input channels")
    groups = shape[1] // form.dimension
    check_sizes(len(lengths) == 2 and lengths[0] == groups, "there is a code book for each group of channels")
    check_sizes(lengths[1] % form.dimension == 0, "code words have the dimension")
    check_sizes(1 <= alphabet <= MOST_VALUES, f"a code book has {MOST_VALUES:,} words at most")
    return (groups, math.prod(shape) // shape[1])
