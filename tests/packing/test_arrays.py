"""Arrays as bytes and back, in the narrowest dtype that holds them."""

import numpy as np
import pytest
import torch

from compressbench.packing.arrays import (
    DTYPES,
    Array,
    from_bytes,
    length_of,
    name_of,
    narrowest,
    to_bytes,
    to_numpy,
    to_torch,
    widened,
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)], ids=str)
def test_a_tensor_of_every_dtype_comes_back_from_its_bytes(dtype: str, shape: tuple[int, ...]) -> None:
    tensor = torch.randint(0, 2, shape).to(DTYPES[dtype][1])
    assert name_of(tensor) == dtype
    content = to_bytes(to_numpy(tensor).ravel(), dtype)
    assert len(content) == length_of(dtype, tensor.numel())
    again = to_torch(from_bytes(memoryview(content), dtype).reshape(shape), dtype)
    assert again.dtype == tensor.dtype
    assert torch.equal(again, tensor)


def test_a_tensor_shares_no_memory_with_the_bytes_it_came_from() -> None:
    content = bytearray(np.ones(3, np.float32).tobytes())
    tensor = to_torch(from_bytes(memoryview(bytes(content)), "float32"), "float32")
    tensor[0] = 2
    assert tensor.tolist() == [2, 1, 1]


def test_a_transposed_and_a_complex_tensor() -> None:
    tensor = torch.arange(6.0).reshape(2, 3).t()
    assert np.array_equal(to_numpy(tensor), tensor.numpy())
    with pytest.raises(ValueError, match="complex64"):
        name_of(torch.zeros(2, dtype=torch.complex64))


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([0.5, -1.0, 3e38 * 0], "bfloat16"),
        ([1.0, 2.0**-100, float("inf")], "bfloat16"),  # float32's range, 8 bits of precision
        ([0.1], "float32"),
        ([1 + 2.0**-10], "float16"),
        ([1 + 2.0**-11], "float32"),
        ([1 + 2.0**-10, 70000.0], "float32"),  # above float16's largest
        ([], "bfloat16"),
    ],
)
def test_floats_take_the_narrowest_dtype_that_holds_them_exactly(values: list[float], name: str) -> None:
    assert came_back(np.array(values, np.float32)) == name


@pytest.mark.parametrize(
    ("values", "name"), [([0, 255], "uint8"), ([0, 256], "int16"), ([-1], "int16"), ([40_000], "int32")]
)
def test_whole_numbers_take_the_narrowest_dtype(values: list[int], name: str) -> None:
    assert came_back(np.array(values, np.int32)) == name


def came_back(side: Array) -> str:
    """Check that a side array comes back from the dtype it is narrowed to, and return that."""
    name, array = narrowest(side)
    again = widened(from_bytes(memoryview(to_bytes(array, name)), name), name)
    assert again.dtype == side.dtype
    assert np.array_equal(again.view(np.uint8), side.view(np.uint8))
    return name


def test_bytes_that_are_no_truth_values_are_refused() -> None:
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        from_bytes(memoryview(b"\x00\x02"), "bool")
