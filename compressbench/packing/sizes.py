"""How many symbols and side values a tensor has in its format: what is checked before anything is decoded."""

from __future__ import annotations

from compressbench.core.format import Dense, Format
from compressbench.core.levels import Shape, check_sizes

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
    kinds, lengths = [kind for kind, _ in sides], [length for _, length in sides]
    if isinstance(form, Dense):
        check_sizes(dtype in INTEGERS or not alphabet, f"a dense tensor of {dtype} has its elements alone")
        check_sizes(dtype not in INTEGERS or alphabet > 0, "8-bit integers have 256 symbols and no side information")
        check_sizes(all(kind == dtype for kind in kinds), "a dense tensor has its elements in its own dtype")
        return form.symbols_shape(shape, lengths, alphabet)
    check_sizes(dtype == "float32", f"only float32 has the format {type(form).__name__}")
    whole = form.whole_sides
    right = all(kind in WHOLE for kind in kinds[:whole]) and all(kind in FLOATS for kind in kinds[whole:])
    check_sizes(right, "what stands beside the symbols is of another dtype")
    return form.symbols_shape(shape, lengths, alphabet)
