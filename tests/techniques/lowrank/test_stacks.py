"""What comes before and after a factorization: each later stage works on the factors as on any layer."""

import torch

from compressbench.core.format import Codebook
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.layers.chain import Chain
from compressbench.metrics.parameters import parameter_counts
from compressbench.packing.packed_file import read, write
from compressbench.techniques.coding.entropy import CodeWithEntropy
from compressbench.techniques.lowrank.separable import SeparableFactorization
from compressbench.techniques.lowrank.svd import SvdFactorization
from compressbench.techniques.pruning.l1_norm import L1NormPruning
from compressbench.techniques.quantization.ptq_int8 import PostTrainingInt8
from compressbench.techniques.sharing.kmeans import SharedWeights
from compressbench.techniques.training.finetune import Finetune
from tests.techniques.lending import StageContext, subject_of
from tests.techniques.test_contract import fields_of

TRAINING = TrainingConfig(epochs=1, batch_size=8, lr=0.01, optimizer="sgd", schedule="constant", weight_decay=0.0)
FACTORS = SvdFactorization(["linear"], ["last"], None, None, 0.6, {})
FILTERS = SeparableFactorization(["conv2"], [], "channels", None, None, 0.6, {}, "between", 16)


def lenet() -> Subject:
    return subject_of("compressbench.zoo.lenet.LeNet5", in_channels=1, image_size=16)


def context() -> StageContext:
    return StageContext(channels=1, side=16)


def decoded(subject: Subject, file) -> tuple[Subject, int]:
    length = write(subject, file)
    again = read(file)
    with torch.no_grad():
        assert torch.equal(again.model(context().images), subject.model.eval()(context().images))
    return again, length


def test_filters_are_pruned_then_layers_factored_then_weights_shared_then_coded(tmp_path):
    kind, fields = fields_of("sharing/kmeans")
    assert kind is SharedWeights
    subject, lengths = lenet(), []
    stack = [L1NormPruning(["conv1"], 0.5, {}, [], 1), FACTORS, FILTERS, SharedWeights(**fields), CodeWithEntropy(True)]
    for technique in stack:
        subject = technique.apply(subject, context())
        lengths.append(decoded(subject, tmp_path / "model.cbp")[1])
    assert lengths == sorted(lengths, reverse=True)
    assert isinstance(subject.format_of("fc1.reduce.weight"), Codebook)
    assert isinstance(subject.format_of("conv2.vertical.weight"), Codebook)
    assert parameter_counts(subject.model)["params"] < 0.5 * parameter_counts(lenet().model)["params"]


def test_layers_are_factored_then_fine_tuned_then_made_int8(tmp_path):
    subject = lenet()
    for technique in (FACTORS, FILTERS, Finetune(TRAINING)):
        subject = technique.apply(subject, context())
    with torch.no_grad():
        before = subject.model.eval()(context().images)
    subject = PostTrainingInt8(["conv", "linear"], [], "minmax", 0.9999, 8, 2).apply(subject, context())
    again, _ = decoded(subject, tmp_path / "model.cbp")
    assert isinstance(again.model.fc1, Chain)
    assert {type(each).__name__ for each in again.model.fc1.children()} == {"Int8Linear"}
    assert type(again.model.conv2.horizontal).__name__ == "Int8Conv2d"
    with torch.no_grad():
        assert (again.model(context().images) - before).norm() < 0.1 * before.norm()


def test_factors_are_factored_again_and_their_filters_pruned(tmp_path):
    subject = FILTERS.apply(lenet(), context())
    subject = SvdFactorization(["conv2.vertical"], [], 2, None, 0.5, {}).apply(subject, context())
    assert isinstance(subject.model.conv2.vertical, Chain)
    subject = L1NormPruning(["conv2.horizontal"], 0.5, {}, [], 1).apply(subject, context())
    assert subject.model.fc1.in_features == 25
    decoded(subject, tmp_path / "model.cbp")
