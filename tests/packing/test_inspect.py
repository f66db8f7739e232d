"""What a file spends its bytes on: bounds by hand, and sums that are the file."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from compressbench.core.format import Codebook, Coding, Sparse
from compressbench.packing.inspect import entropy_bytes, summary, tensor_table
from compressbench.packing.packed_file import PackedFileError, write
from tests.packing.networks import LENET, stored_as, subject_of


def test_the_entropy_of_symbols_by_hand() -> None:
    """H(1/2, 1/4, 1/8, 1/8) is 1.75 bits a symbol: 8 symbols take 14 bits."""
    assert entropy_bytes(np.array([0, 0, 0, 0, 1, 1, 2, 5], np.uint8)) == pytest.approx(14 / 8)
    assert entropy_bytes(np.zeros(100, np.uint8)) == 0
    assert entropy_bytes(np.zeros(0, np.uint8)) == 0
    assert entropy_bytes(np.arange(256).astype(np.uint16)) == pytest.approx(256)


def test_a_tensor_s_bound_is_its_symbols_and_its_code_book(tmp_path: Path) -> None:
    """300 x 36 weights, half of them 0 and a quarter each 0.5 and -0.1: 1.5 bits each, and a book of two fp32."""
    subject = subject_of()
    flat = torch.tensor([0.0, 0.0, 0.5, -0.1]).repeat(2700)
    with torch.no_grad():
        subject.model.fc1.weight.copy_(flat.reshape(300, 36))
    subject.formats["fc1.weight"], subject.coding = Codebook(1), Coding(("fixed",))
    write(subject, tmp_path / "model.cbp")
    row = next(row for row in tensor_table(tmp_path / "model.cbp") if row["name"] == "fc1.weight")
    assert row == {
        "name": "fc1.weight",
        "shape": [300, 36],
        "elements": 10_800,
        "format": "Codebook(bits=1)",
        "coder": "fixed",
        "bytes": 10_800 * 2 // 8 + 8,
        "bits_per_weight": round(2 + 64 / 10_800, 4),
        "entropy_bytes": 10_800 * 1.5 / 8 + 8,
    }


def test_a_dense_tensor_is_its_elements_and_the_lengths_add_up_to_the_file(tmp_path: Path) -> None:
    subject = stored_as(Sparse())
    length = write(subject, tmp_path / "model.cbp", {"seed": 3})
    table = tensor_table(tmp_path / "model.cbp")
    assert json.loads(json.dumps(table)) == table
    assert [row["name"] for row in table] == sorted(subject.model.state_dict())
    bias = table[0]
    assert (bias["name"], bias["format"], bias["coder"], bias["bytes"]) == ("fc1.bias", "Dense", "", 1200)
    assert (bias["entropy_bytes"], bias["bits_per_weight"]) == (1200, 32)
    whole = summary(tmp_path / "model.cbp")
    assert whole.note == {"seed": 3}
    assert whole.architecture == {"target": LENET.target, **LENET.arguments}
    assert whole.changed == []
    assert whole.data_bytes == sum(row["bytes"] for row in table)
    assert whole.file_bytes == whole.header_bytes + whole.note_bytes + whole.data_bytes == length
    elements = 300 * 36 + 300 + 100 * 300 + 100 + 10 * 100 + 10
    assert whole.dense_bytes == 4 * elements
    assert whole.times_smaller == 4 * elements / length


def test_a_network_that_lost_filters_is_compared_with_the_one_it_was_before(tmp_path: Path) -> None:
    """As the report does: 4 bytes for each of the 42,210 parameters it was built with."""
    subject = subject_of()
    model = subject.model
    model.fc1, model.fc2 = torch.nn.Linear(36, 30), torch.nn.Linear(30, 100)
    length = write(subject, tmp_path / "model.cbp")
    whole = summary(tmp_path / "model.cbp")
    assert whole.dense_bytes == 4 * 42_210
    assert whole.times_smaller == 4 * 42_210 / length


def test_a_damaged_file_has_no_table(tmp_path: Path) -> None:
    write(stored_as(Sparse()), tmp_path / "model.cbp")
    content = (tmp_path / "model.cbp").read_bytes()
    (tmp_path / "model.cbp").write_bytes(content[:-1])
    with pytest.raises(PackedFileError, match="checksum"):
        tensor_table(tmp_path / "model.cbp")
