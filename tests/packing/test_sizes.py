"""What a file says of a tensor's sizes is checked before anything is decoded."""

import pytest

from compressbench.core.format import (
    Binary,
    Blocks,
    Codebook,
    Dense,
    FixedPoint,
    Format,
    Hashed,
    NOfM,
    PowerOfTwo,
    Product,
    Sparse,
    Uniform,
)
from compressbench.packing.sizes import symbols_shape

F = "float32"
Sides = tuple[tuple[str, int], ...]


@pytest.mark.parametrize(
    ("form", "dtype", "sides", "alphabet"),
    [
        (Dense(), F, ((F, 11),), 0),
        (Dense(), F, (("float64", 12),), 0),
        (Dense(), F, ((F, 12),), 2),
        (Dense(), "int8", (), 255),
        (Sparse(), F, ((F, 13),), 2),
        (Sparse(), F, (("int32", 5),), 2),
        (Sparse(), "float64", ((F, 5),), 2),
        (NOfM(2, 4), F, ((F, 5),), 6),
        (NOfM(2, 4), F, ((F, 6),), 7),
        (NOfM(2, 4), F, (), 6),
        (NOfM(2, 3), F, ((F, 8),), 3),
        (NOfM(4, 4), F, ((F, 12),), 1),
        (NOfM(0, 4), F, ((F, 0),), 1),
        (NOfM(1, 10**9), F, ((F, 0),), 10**9),
        (Blocks(2, 2), F, ((F, 4),), 2),
        (Blocks(3, 3), F, ((F, 9),), 2),
        (Blocks(3, 2), F, ((F, 13),), 2),
        (Blocks(3, 2), F, ((F, 6),), 3),
        (Blocks(0, 2), F, ((F, 6),), 2),
        (Blocks(3, -2), F, ((F, 6),), 2),
        (Codebook(2), F, ((F, 5),), 5),
        (Codebook(2), F, ((F, 3),), 5),
        (Codebook(2), F, ((F, 0),), 0),
        (Codebook(-1), F, ((F, 0),), 1),
        (Codebook(40), F, ((F, 3),), 3),
        (PowerOfTwo(5, -1), F, (), 16),
        (PowerOfTwo(64, -1), F, (), 2**63 + 1),
        (PowerOfTwo(5, 10**9), F, (), 17),
        (FixedPoint(8, 4), F, (), 255),
        (FixedPoint(60, 4), F, (), 2**60),
        (FixedPoint(8, 10**9), F, (), 256),
        (Binary(), F, ((F, 2),), 2),
        (Product(0), F, (("uint8", 4), (F, 4)), 2),
        (Product(3), F, (("uint8", 1), (F, 3)), 2),
        (Product(2), F, ((F, 2), (F, 4)), 2),
        (Product(2), F, (("uint8", 2), (F, 5)), 2),
        (Product(2), F, (("uint8", 2), (F, 4)), 1 << 20),
        (Hashed(0, 0), F, ((F, 0),), 0),
        (Hashed(5, 0), F, ((F, 4),), 0),
        (Uniform(4), F, ((F, 3), (F, 3)), 16),
        (Uniform(4), F, (("uint8", 0), (F, 2)), 16),
        (Uniform(4), F, (("uint8", 1), (F, 3)), 16),
        (Uniform(4, 3), F, (("uint8", 0), (F, 3)), 16),
        (Uniform(4), F, (("uint8", 0), (F, 3)), 17),
        (Uniform(4), F, (("uint8", 0), (F, 3)), 0),
        (Uniform(4, -1), F, (("uint8", 0), (F, 3)), 16),
        (Uniform(1), F, (("uint8", 0), (F, 3)), 2),
        (Uniform(60), F, (("uint8", 0), (F, 3)), 2**60),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_a_tensor_of_3_x_4_are_refused(
    form: Format, dtype: str, sides: Sides, alphabet: int
) -> None:
    with pytest.raises(ValueError, match="sizes do not fit"):
        symbols_shape(form, (3, 4), dtype, sides, alphabet)


def test_symbols_lie_as_the_tensor_does_but_for_code_words_and_patterns() -> None:
    assert symbols_shape(Codebook(2), (3, 4), F, ((F, 4),), 5) == (3, 4)
    assert symbols_shape(Product(2), (3, 4, 5, 5), F, (("uint8", 2), (F, 8)), 2) == (2, 75)
    assert symbols_shape(Uniform(4, 3), (3, 4), F, (("uint8", 6), (F, 6)), 16) == (3, 4)
    assert symbols_shape(NOfM(2, 4), (3, 8, 5, 5), F, ((F, 300),), 6) == (3, 50)
    assert symbols_shape(Blocks(3, 2), (6, 8, 5, 5), F, ((F, 6),), 2) == (2, 100)
    assert symbols_shape(Dense(), (3, 4), F, ((F, 12),), 0) is None
