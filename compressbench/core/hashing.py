"""The hash that says which elements of a hashed tensor share a value (Chen et al. 2015, HashedNets)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

_PRIMES = [np.uint32(prime) for prime in (2654435761, 2246822519, 3266489917, 668265263, 374761393)]


def places(shape: tuple[int, ...], buckets: int, seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the bucket of every element (int64, 0 to buckets - 1) and its sign (float32, 1 or -1), both flat.

    Bucket and sign are xxHash32 of the element's row-major index, with the seeds 2 seed and 2 seed + 1.
    """
    index = np.arange(math.prod(shape), dtype=np.uint32)
    bucket = xxhash32(index, 2 * seed).astype(np.int64) % buckets
    sign = 1 - 2 * (xxhash32(index, 2 * seed + 1) & np.uint32(1)).astype(np.float32)
    return bucket, sign


def xxhash32(numbers: npt.NDArray[np.uint32], seed: int) -> npt.NDArray[np.uint32]:
    """Return xxHash32 of the four little-endian bytes of each number."""
    second, third, fourth, fifth = _PRIMES[1:]
    with np.errstate(over="ignore"):
        state = numbers * third + np.uint32((seed + int(fifth) + 4) % 2**32)
        state = ((state << np.uint32(17)) | (state >> np.uint32(15))) * fourth
        state = (state ^ (state >> np.uint32(15))) * second
        state = (state ^ (state >> np.uint32(13))) * third
        return state ^ (state >> np.uint32(16))
