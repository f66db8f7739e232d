"""A forecast says what the run will metric, and nothing that only the trained weights decide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compressbench.core.architecture import Architecture
from compressbench.core.budget import Budget
from compressbench.core.model import Model
from compressbench.core.plan import Limits, Plan, Stage
from compressbench.core.record import RunRecord
from compressbench.packing import packed_file
from compressbench.running.decided import decided
from compressbench.running.folders import WEIGHTS, run_folder
from compressbench.running.forecast import forecast
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from compressbench.techniques.coding.entropy import CodeWithEntropy
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.sharing.kmeans import SharedWeights
from compressbench.techniques.training._initialization import INITS
from compressbench.techniques.training.from_scratch import FromScratch
from tests.running.plans import TRAINING, plan
from tests.techniques.lending import trained_by

CPU = torch.device("cpu")
MAGNITUDE = Stage("prune", "pruning/magnitude", MagnitudePruning(["conv", "linear"], 0.5, {}, [], "per_layer", 1, None))
BATCH_NORM = Model("resnet20", Architecture("compressbench.zoo.resnet_cifar.ResNetCifar", {
    "in_channels": 1, "classes": 4, "depth": 20,
}))  # fmt: skip


def carried_out(whole: Plan, outputs: Path) -> tuple[RunRecord, int]:
    """Return the record, and the length of the final file without its note."""
    record = run(whole, outputs, SilentProgress())
    file = run_folder(outputs, decided(whole, CPU)) / WEIGHTS
    return record, packed_file.rewrite_note(file, {})


@pytest.mark.parametrize("model", [plan().model, BATCH_NORM], ids=["biases", "batch norm"])
def test_zeros_that_training_fills_are_not_counted_and_the_bytes_are_those_of_the_file(
    tmp_path: Path, model: Model
) -> None:
    train = plan().stages[0]
    whole = plan(model=model, stages=(train, MAGNITUDE), limits=Limits(epochs=1))
    stages, faults = forecast(whole, tmp_path, CPU)
    assert faults == []
    record, length = carried_out(whole, tmp_path)
    for stage, measured in zip(stages, record.stages, strict=True):
        for name in ("params", "params_nonzero", "params_without_bn_nonzero", "macs", "macs_nonzero"):
            assert stage.counts[name] == measured.metrics[name], (stage.name, name)
    assert stages[-1].counts["size_bytes"] == length


def test_biases_that_a_stage_sets_to_zero_and_training_moves_are_counted(tmp_path: Path) -> None:
    limits = Limits(epochs=1)
    trained = [
        Stage("train", "training/from_scratch", trained_by(FromScratch, **TRAINING, init=init)) for init in INITS
    ]
    built, drawn = (forecast(plan(stages=(train, MAGNITUDE), limits=limits), tmp_path, CPU)[0] for train in trained)
    assert [stage.counts for stage in drawn] == [stage.counts for stage in built]
    assert drawn[0].counts["params_nonzero"] == drawn[0].counts["params"]


def test_what_depends_on_the_weights_is_left_out(tmp_path: Path) -> None:
    share = SharedWeights(["conv", "linear"], [], 4, {}, "optimal", 1, None, "fp32")
    code = Stage("code", "coding/entropy", CodeWithEntropy(context=False))
    stages = (plan().stages[0], Stage("share", "sharing/kmeans", share), code)
    found, faults = forecast(plan(stages=stages), tmp_path, CPU)
    assert faults == []
    assert "size_bytes" in found[1].counts  # so many bits for each weight
    assert "size_bytes" not in found[2].counts  # Huffman codes are as long as the weights are often
    everywhere = replace(MAGNITUDE.technique, scope="global")
    found, _ = forecast(plan(stages=(plan().stages[0], replace(MAGNITUDE, technique=everywhere))), tmp_path, CPU)
    assert found[1].counts["params_nonzero"] < found[0].counts["params_nonzero"]
    assert "macs_nonzero" not in found[1].counts  # which layers lose their weights is not known


def test_epochs_are_those_that_limits_leave(tmp_path: Path) -> None:
    found, faults = forecast(plan(limits=Limits(epochs=1), budget=Budget(epochs=2)), tmp_path, CPU)
    assert [stage.epochs for stage in found] == [1, 0, 1]
    assert faults == []


def test_a_file_that_cannot_be_small_enough_is_a_fault(tmp_path: Path) -> None:
    _, faults = forecast(plan(budget=Budget({"size_bytes": 1000})), tmp_path, CPU)
    assert [fault.where for fault in faults] == ["budget.size_bytes"]


def test_seconds_are_those_of_earlier_epochs_on_this_machine(tmp_path: Path) -> None:
    assert [stage.seconds for stage in forecast(plan(), tmp_path, CPU)[0]] == [None] * 3
    record = run(plan(), tmp_path, SilentProgress())
    assert [stage.seconds for stage in forecast(plan(), tmp_path, CPU)[0]] == [0.0] * 3  # all of it is there
    other = forecast(plan(seed=1), tmp_path, CPU)[0]
    pace = sum(entry["seconds"] for entry in record.stages[0].curve) / 2
    assert other[0].seconds == pytest.approx(2 * pace)
    assert other[1].seconds == record.stages[1].seconds
    assert forecast(plan(seed=1, limits=Limits(steps=1)), tmp_path, CPU)[0][0].seconds is None
