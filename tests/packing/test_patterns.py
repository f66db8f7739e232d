"""Zeros in a pattern: which n of m stand is one symbol, whether a block is there one bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from compressbench.core.format import Blocks, Format, NOfM, Sparse
from compressbench.packing.levels import Levels, from_levels, to_levels
from compressbench.packing.packed_file import entries, write
from tests.packing.networks import sayable, stored_as
from tests.packing.test_levels import back, same_bits


def bytes_of(form: Format, path: Path, coder: str = "fixed") -> int:
    subject = stored_as(form, coders=(coder,))
    write(subject, path)
    entry = next(entry for entry, _ in entries(path) if entry.name == "fc2.weight")
    return entry.coded_bytes + entry.side_bytes


def test_a_layer_takes_3_bits_a_group_and_its_values(tmp_path: Path) -> None:
    """fc2 is 100 x 300: 7,500 groups of 4, each with one of 6 ways (3 bits) and 2 values; 2.6 bits if entropy-coded.
    Without a pattern there are 4 bits a group."""
    path, values = tmp_path / "model.cbp", 7_500 * 2 * 4
    assert bytes_of(NOfM(2, 4), path) == 7_500 * 3 // 8 + 1 + values
    assert bytes_of(NOfM(2, 4), path, "ans") == pytest.approx(7_500 * np.log2(6) / 8 + values, rel=2e-3)
    subject = stored_as(NOfM(2, 4), coders=("fixed",))
    subject.formats["fc2.weight"] = Sparse()
    write(subject, path)
    entry = next(entry for entry, _ in entries(path) if entry.name == "fc2.weight")
    assert entry.coded_bytes + entry.side_bytes == 30_000 // 8 + values


def test_blocks_take_a_bit_each_and_their_elements(tmp_path: Path) -> None:
    """fc2 has 20 x 150 blocks of 5 x 2."""
    there = np.count_nonzero(to_levels(sayable(torch.ones(100, 300), Blocks(5, 2)).numpy(), Blocks(5, 2)).symbols)
    assert 800 < there < 1_000
    assert bytes_of(Blocks(5, 2), tmp_path / "model.cbp") == 20 * 150 // 8 + there * 10 * 4


def test_groups_are_neighbouring_input_channels_at_one_kernel_position() -> None:
    """One row, 4 channels, 1 x 2 kernels: the first position keeps channels 0 and 3, the second 1 and 2."""
    tensor = np.array([[[1, 0], [0, 2], [0, 3], [4, 0]]], np.float32).reshape(1, 4, 1, 2)
    levels = to_levels(tensor, NOfM(2, 4))
    assert levels.symbols is not None
    ways = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert [ways[symbol] for symbol in levels.symbols] == [(0, 3), (1, 2)]
    assert levels.side[0].tolist() == [1, 4, 2, 3]


@pytest.mark.parametrize("form", [NOfM(2, 4), NOfM(1, 4), NOfM(8, 16), Blocks(2, 4), Blocks(1, 16)], ids=str)
@pytest.mark.parametrize("shape", [(4, 16), (2, 16, 3, 3), (6, 32, 3), (0, 16)], ids=str)
def test_matrices_and_kernels_come_back(form: Format, shape: tuple[int, ...]) -> None:
    matrix = np.random.default_rng(0).normal(size=(shape[0], 16 * 18)).astype(np.float32)
    kept = sayable(torch.from_numpy(matrix), form).numpy()[:, : int(np.prod(shape[1:]))]
    tensor = np.ascontiguousarray(np.moveaxis(kept.reshape(shape[0], *shape[2:], shape[1]), -1, 1))
    assert same_bits(back(tensor, form), tensor + np.float32(0))


@pytest.mark.parametrize("form", [NOfM(2, 4), Blocks(2, 2)], ids=str)
def test_zeros_among_what_stays_come_back_and_negative_ones_are_zeros(form: Format) -> None:
    tensor = np.array([[0, 0, 0, 1.5, -0.0, 0, 0, 0], [0] * 8], np.float32)
    found = back(tensor, form)
    assert np.array_equal(found, tensor)
    assert not np.signbit(found).any()


def test_what_a_pattern_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 2 weights other than zero among 4 neighbours"):
        to_levels(np.array([[1, 2, 3, 0]], np.float32), NOfM(2, 4))
    with pytest.raises(ValueError, match="6 input channels are no multiple of 4"):
        to_levels(np.zeros((2, 6), np.float32), NOfM(2, 4))
    with pytest.raises(ValueError, match="3 output channels are no multiple of 2"):
        to_levels(np.zeros((3, 4), np.float32), Blocks(2, 2))
    with pytest.raises(ValueError, match="no input channels"):
        to_levels(np.zeros(4, np.float32), Blocks(2, 2))


def test_a_file_that_claims_another_number_of_blocks_is_refused() -> None:
    levels = Levels(np.array([1, 0], np.uint8), 2, (1, 2), [np.ones(8, np.float32)])
    with pytest.raises(ValueError, match="how many blocks there are"):
        from_levels(levels, Blocks(2, 2), (2, 4), np.float32)
