"""The hash is the published one, so that a file says the same wherever and whenever it is read."""

import numpy as np
import pytest

from compressbench.core.hashing import places, xxhash32


@pytest.mark.parametrize(
    ("text", "seed", "published"),
    [
        (b"test", 0, 0x3E2023CF),  # the test vectors of independent implementations of xxHash32
        (b"0123", 0, 0x0A0B4C93),
        (b"0123", 0x12345678, 0x405C9EFD),
        (b"dcba", 0, 0x90CAB330),
        (b"dcba", 17, 0x89F1E75E),
    ],
)
def test_four_bytes_have_the_published_hash(text: bytes, seed: int, published: int) -> None:
    number = np.array([int.from_bytes(text, "little")], np.uint32)
    assert xxhash32(number, seed).tolist() == [published]


def test_places_are_a_bucket_and_a_sign_for_every_element() -> None:
    index, sign = places((40, 5, 5), 100, 0)
    assert index.shape == sign.shape == (1_000,)
    assert (index.dtype, sign.dtype) == (np.int64, np.float32)
    assert (index.min(), index.max()) == (0, 99)
    assert set(sign.tolist()) == {-1.0, 1.0}
    assert index[:3].tolist() == [int(xxhash32(np.array([i], np.uint32), 0)[0]) % 100 for i in range(3)]


def test_buckets_are_filled_evenly_and_signs_are_fair() -> None:
    """Of 100,000 elements a bucket of 100 gets 1,000 +- 32 (one deviation), and half of the signs are 1 +- 158."""
    index, sign = places((100_000,), 100, 3)
    counts = np.bincount(index, minlength=100)
    assert 0.7 * 32 < counts.std() < 1.3 * 32
    assert abs(int((sign > 0).sum()) - 50_000) < 4 * 158
    assert abs(np.corrcoef(index, sign)[0, 1]) < 0.02


def test_another_seed_shares_other_elements() -> None:
    first, signs = places((10_000,), 100, 0)
    second, other_signs = places((10_000,), 100, 1)
    assert (first == second).mean() == pytest.approx(0.01, abs=0.005)
    assert (signs == other_signs).mean() == pytest.approx(0.5, abs=0.03)
