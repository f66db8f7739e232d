"""Deep Compression's own coder is the only one a file may use after it."""

import pytest

from compressbench.core.format import Coding
from compressbench.packing.packed_file import entries, write
from compressbench.techniques.coding.huffman import CodeWithHuffman
from compressbench.techniques.sharing.kmeans import SharedWeights
from tests.techniques.lending import StageContext, subject_of


def test_every_tensor_of_few_values_is_stored_with_it(tmp_path):
    subject = subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)
    context = StageContext(channels=1, side=8)
    subject = SharedWeights(["linear"], [], 4, {}, "optimal", 5, None, "fp32").apply(subject, context)
    subject = CodeWithHuffman(5).apply(subject, context)
    assert subject.coding == Coding(("relative_huffman",), 5)
    write(subject, tmp_path / "model.cbp")
    coders = {entry.name: entry.coder for entry, _ in entries(tmp_path / "model.cbp")}
    assert coders["fc1.weight"] == coders["fc3.weight"] == "relative_huffman"
    assert coders["fc1.bias"] == ""


def test_gaps_of_any_size_are_allowed():
    subject = subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)
    assert CodeWithHuffman(None).apply(subject, StageContext()).coding.index_bits is None


@pytest.mark.parametrize("index_bits", [0, 17])
def test_bits_out_of_range_are_refused(index_bits):
    with pytest.raises(ValueError, match=f"index_bits is {index_bits}; allowed: 1 to 16, or null"):
        CodeWithHuffman(index_bits)
