"""Of all coders the smallest one is kept, tensor by tensor."""

import pytest

from compressbench.codecs.coders import CODERS
from compressbench.packing.packed_file import entries, write
from compressbench.techniques.coding.entropy import CodeWithEntropy
from compressbench.techniques.coding.huffman import CodeWithHuffman
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.sharing.kmeans import SharedWeights
from tests.techniques.lending import StageContext, subject_of


@pytest.fixture
def subject():
    context = StageContext(channels=1, side=8)
    subject = subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)
    subject = MagnitudePruning(["linear"], 0.9, {}, [], "per_layer", 1, None).apply(subject, context)
    return SharedWeights(["linear"], [], 4, {}, "optimal", 5, 4, "fp32").apply(subject, context)


def test_all_coders_there_are_may_be_chosen(subject):
    assert set(CodeWithEntropy(True).apply(subject, StageContext()).coding.coders) == set(CODERS)


def test_the_context_model_may_be_left_out(subject):
    coders = CodeWithEntropy(False).apply(subject, StageContext()).coding.coders
    assert set(coders) == set(CODERS) - {"context"}


def test_each_tensor_is_as_small_as_its_best_coder_makes_it(subject, tmp_path):
    bytes_of = {}
    for technique in (CodeWithEntropy(True), CodeWithEntropy(False), CodeWithHuffman(None)):
        write(technique.apply(subject, StageContext()), tmp_path / "model.cbp")
        bytes_of[technique] = {entry.name: entry.coded_bytes for entry, _ in entries(tmp_path / "model.cbp")}
    best, without, paper = bytes_of.values()
    assert all(best[name] <= without[name] <= paper[name] for name in best)
    assert sum(best.values()) < sum(paper.values())
